"""What a plain consumer can check of I4 by itself: numbers, places, headers, and that each before is the last after."""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.checker.artefacts import Artefacts, Published
from tests.checker.single_object import PREFIX_BYTES, Schemas

OMITTED: Any = object()
"""An entity whose last announcement was too large to say what it became."""
REJECTED = "processor.changes.EventRejected"


def numbered(artefacts: Artefacts) -> Iterator[str]:
    """Numbers run from 0 without holes, seq ascends, and within a commit the index runs from 0 to count − 1."""
    last = (0, 0)
    for number, published in enumerate(artefacts.changes):
        source = published.value["source"]
        if source["number"] != number:
            yield f"offset {published.record.offset} has number {source['number']}, {number} is next"
        place = source["seq"], source["index"]
        wanted = (last[0], last[1] + 1) if source["seq"] == last[0] else (source["seq"], 0)
        if place != wanted or place <= last:
            yield f"number {number}: seq and index are {place} after {last}"
        last = place
    yield from _whole(artefacts.changes)


def headers(artefacts: Artefacts) -> Iterator[str]:
    """Headers say what the value says."""
    for published in artefacts.changes:
        source = published.value["source"]
        fields = ("seq", "index", "count", "number", "epoch", "shard")
        wanted = {f"processor-{field}": str(source[field]) for field in fields} | {
            "ce_id": f"{source['shard']}-{source['seq']}-{source['index']}",
            "ce_type": published.type,
            "ce_subject": (published.record.key or b"").decode(),
            "ce_specversion": "1.0",
            "content-type": "application/avro",
        }
        if source["shard"] != published.record.partition:
            yield f"number {source['number']} is of shard {source['shard']}, in partition {published.record.partition}"
        found = published.headers
        for name, value in wanted.items():
            if found.get(name) != value:
                yield f"number {source['number']}: header {name} is {found.get(name)!r} instead of {value!r}"
        if int(found.get("processor-revision", 0)) <= source["previous_revision"]:
            yield f"number {source['number']}: revision {found.get('processor-revision')} is not above the one before"


def chained(artefacts: Artefacts, schemas: Schemas, *, namespace: str = "processor") -> Iterator[str]:
    """A consumer's table agrees: each `before` is the last `after` of that key, and the store has what is left."""
    table: dict[str, Any] = {}
    for published in artefacts.changes:
        if published.type == REJECTED:
            continue
        key, value = (published.record.key or b"").decode(), published.value
        kind = key.partition("/")[0].capitalize()
        if published.type != f"{namespace}.changes.{kind}Changed":
            yield f"number {value['source']['number']}: {published.type} stands under {key}"
            continue
        known = table.get(key)
        unknown = value["before"] is None and (value["op"] == "u" or _omits(published, "before"))
        if known is not OMITTED and known != value["before"] and not unknown and not _is_default(key, known):
            yield f"number {value['source']['number']}: {key} was {known!r}, not {value['before']!r}"
        table[key] = OMITTED if _omits(published, "after") else value["after"]
    for key, after in table.items():
        if after is OMITTED:
            continue
        stored = artefacts.store.entities.get(key)
        name = f"{namespace}.state.{key.partition('/')[0].capitalize()}"
        wanted = None if after is None else schemas.encode(name, after)
        if (stored or b"")[PREFIX_BYTES:] != (wanted or b"")[PREFIX_BYTES:]:
            yield f"{key}: the store has {stored!r}, its last announcement {after!r}"


def agree(artefacts: Artefacts, watched: Iterable[Published]) -> Iterator[str]:
    """A consumer that read along saw what a consumer sees afterwards, in the same order."""
    along = [(published.record.offset, published.record.key, published.record.value) for published in watched]
    after = [(published.record.offset, published.record.key, published.record.value) for published in artefacts.changes]
    if along != after:
        yield f"a consumer that read along saw {len(along)} announcements, afterwards there are {len(after)}"


def _omits(published: Published, part: str) -> bool:
    return published.headers.get(f"processor-{part}") == "omitted"


def _whole(changes: Iterable[Published]) -> Iterator[str]:
    found: dict[int, list[int]] = {}
    for published in changes:
        found.setdefault(published.value["source"]["seq"], []).append(published.value["source"]["count"])
    for seq, counts in found.items():
        if counts != [len(counts)] * len(counts):
            yield f"commit {seq}: {len(counts)} announcements, which say count {sorted(set(counts))}"


def _is_default(key: str, known: Any) -> bool:
    return known is None and key.startswith("policy/")  # stored from its first change on

"""I7: each record that could not be processed is exactly one dead letter, with its own bytes."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

from processor.engine.inputs import Record
from tests.checker.artefacts import Artefacts, Published, RecordId, place_of

CODES = frozenset(
    {
        *("undecodable", "unknown_schema", "unknown_type", "too_large", "wrong_cluster", "transition_too_large"),
        *("reducer_error", "process_crash"),
    }
)


def origin_of(letter: Published) -> RecordId:
    """Return where the record of a dead letter came from."""
    headers = letter.headers
    return (
        headers["dead-letter-topic"],
        int(headers["dead-letter-partition"]),
        int(headers["dead-letter-offset"]),
    )


def dead_letters(artefacts: Artefacts) -> Iterator[str]:
    """The records with outcome `dead_lettered` and the dead letters are the same, one by one."""
    records = {place_of(record): record for record in artefacts.inputs}
    condemned = dict(_condemned(artefacts))
    letters = Counter(origin_of(letter) for letter in artefacts.dead_letters)
    for place in condemned.keys() | letters.keys():
        if letters[place] != (place in condemned):
            yield f"{place} has {letters[place]} dead letters, the commit log has {int(place in condemned)}"
    for letter in artefacts.dead_letters:
        place = origin_of(letter)
        if place in records and place in condemned:
            yield from _as_it_came(letter, records[place], seq=condemned[place])
    yield from _numbered(artefacts)


def _condemned(artefacts: Artefacts) -> Iterator[tuple[RecordId, int]]:
    """Yield each record with outcome `dead_lettered`, and the seq of its commit."""
    there = {place_of(record) for record in artefacts.inputs}
    for commit in artefacts.commits:
        outcomes = [run["outcome"] for run in commit.value["outcomes"] for _ in range(run["count"])]
        places = [
            (part["topic"], part["partition"], offset)
            for part in commit.value["ranges"]
            for offset in range(part["from"], part["to"])
        ]
        consumed = [place for place in places if place in there]
        # unequal lengths are a finding of the replay
        for place, outcome in zip(consumed, outcomes, strict=False):
            if outcome == "dead_lettered":
                yield place, commit.value["seq"]


def _as_it_came(letter: Published, record: Record, *, seq: int) -> Iterator[str]:
    name = f"dead letter of {place_of(record)}"
    if letter.headers["dead-letter-code"] not in CODES:
        yield f"{name}: code {letter.headers['dead-letter-code']}"
    if letter.seq != seq:
        yield f"{name}: says seq {letter.seq}, the commit log {seq}"
    if letter.headers["dead-letter-timestamp"] != str(record.timestamp_ms):
        yield f"{name}: says timestamp {letter.headers['dead-letter-timestamp']}, it was {record.timestamp_ms}"
    if "dead-letter-truncated" in letter.headers:
        yield from _cut(letter, record, name)
    elif (letter.record.key, letter.record.value) != (record.key, record.value):
        yield f"{name}: key or value are not as they came"
    elif letter.record.headers[: len(record.headers)] != record.headers:
        yield f"{name}: its headers do not begin with those that came"


def _cut(letter: Published, record: Record, name: str) -> Iterator[str]:
    whole, kept = record.value or b"", letter.record.value or b""
    if bool(kept) != bool(whole) or not whole.startswith(kept):
        yield f"{name}: what was kept is not the beginning of what came"
    told = letter.headers["dead-letter-truncated"], letter.headers["dead-letter-sha256"]
    if told != (str(len(whole)), sha256(whole).hexdigest()):
        yield f"{name}: says size and hash {told}"


def _numbered(artefacts: Artefacts) -> Iterator[str]:
    by_seq: dict[int, list[tuple[str, str]]] = {}
    for letter in artefacts.dead_letters:
        by_seq.setdefault(letter.seq, []).append((letter.headers["processor-index"], letter.headers["processor-count"]))
    for seq, places in by_seq.items():
        if places != [(str(index), str(len(places))) for index in range(len(places))]:
            yield f"the dead letters of commit {seq} have the places {places}"

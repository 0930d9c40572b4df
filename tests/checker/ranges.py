"""I1, I2, I8: what was consumed is contiguous, each acknowledged event is in it exactly once, and nothing is left."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.checker.artefacts import Artefacts, RecordId, place_of

Partition = tuple[str, int]
WITHOUT_RANGES = frozenset({"repair", "rebuild", "upgrade"})
"""Kinds of commits that consume nothing."""

TICK = ("ce_type", b"processor.events.ClockTicked")


def sequence(artefacts: Artefacts) -> Iterator[str]:
    """The commit log has one record a commit, in order of seq from 1 on, up to the head."""
    numbers = [commit.value["seq"] for commit in artefacts.commits]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the commit log's seqs are not 1, 2, 3 …: {_first_break(numbers)}"
    if artefacts.store.head["seq"] != len(numbers):
        yield f"head has seq {artefacts.store.head['seq']}, the commit log {len(numbers)} records"
    for commit in artefacts.commits:
        if (commit.seq, commit.epoch) != (commit.value["seq"], commit.value["epoch"]):
            yield f"commit {commit.value['seq']}: its headers say seq {commit.seq}, epoch {commit.epoch}"
        if commit.record.key != str(commit.value["seq"]).encode():
            yield f"commit {commit.value['seq']}: its key is {commit.record.key!r}"


def contiguous(artefacts: Artefacts) -> Iterator[str]:
    """Each range begins where the same partition's range before ended, and counts the records that are there."""
    ends: dict[Partition, int] = {}
    offsets = Counter(place_of(record) for record in artefacts.inputs)
    for commit in artefacts.commits:
        if commit.value["kind"] in WITHOUT_RANGES and commit.value["ranges"]:
            yield f"commit {commit.value['seq']}: a {commit.value['kind']} has ranges"
        for part in commit.value["ranges"]:
            partition = part["topic"], part["partition"]
            began = ends.get(partition, 0)
            name = f"commit {commit.value['seq']}, {partition[0]}[{partition[1]}] {part['from']}–{part['to']}"
            if part["from"] != began and commit.value["kind"] != "gap":
                yield f"{name}: the range before ended at {began}"
            there = sum((*partition, offset) in offsets for offset in range(part["from"], part["to"]))
            if part["count"] != there and commit.value["kind"] != "gap":
                yield f"{name}: counts {part['count']} records, {there} are there"
            ends[partition] = part["to"]
    for (topic, number), end in ends.items():
        if artefacts.store.position(topic, number) != end:
            yield f"head is at {artefacts.store.position(topic, number)} of {topic}[{number}], the commit log at {end}"


def exactly_once(artefacts: Artefacts) -> Iterator[str]:
    """Each acknowledged record is in exactly one range; what is read again counts from then on.

    A record that is in nobody's hands any more, because it was gone before it was read, is in a range of kind gap.
    """
    times: Counter[RecordId] = Counter()
    read: set[RecordId] = set()
    for commit in artefacts.commits:
        for part in commit.value["ranges"]:
            times.update(_places(part))
            times.subtract(_taken_back(part))
            if commit.value["kind"] != "gap":
                read.update(_places(part))
    there = set(map(place_of, artefacts.inputs))
    for place in artefacts.acknowledged:
        name = f"{place[0]}[{place[1]}] offset {place[2]}"
        if times[place] != 1:
            yield f"{name} is in {times[place]} ranges"
        if place in read and place not in there:
            yield f"{name} was passed by as if it had been read"


def ran(artefacts: Artefacts) -> Iterator[str]:
    """I9: there was something to judge."""
    for what, found in (("events were acknowledged", artefacts.acknowledged), ("commits happened", artefacts.commits)):
        if not found:
            yield f"no {what}"


def settled(artefacts: Artefacts) -> Iterator[str]:
    """I8: everything was consumed and published, nothing waits in the store.

    A tick of the processor's own clock may be its last word: nobody but itself was told that it arrived.
    """
    acknowledged = set(artefacts.acknowledged)
    for record in artefacts.inputs:
        place = record.topic, record.partition, record.offset
        own = TICK in record.headers and place not in acknowledged
        if record.offset >= artefacts.store.position(record.topic, record.partition) and not own:
            yield f"{record.topic}[{record.partition}] offset {record.offset} was not consumed"
    if artefacts.store.outbox or artefacts.store.deltas or artefacts.store.head["pending"]:
        yield f"the store still holds {artefacts.store.outbox + artefacts.store.deltas}"


def _places(part: dict[str, Any]) -> Iterator[RecordId]:
    return ((part["topic"], part["partition"], offset) for offset in range(part["from"], part["to"]))


def _taken_back(part: dict[str, Any]) -> Iterator[RecordId]:
    return ((part["topic"], part["partition"], offset) for offset in range(part["to"], part["from"]))


def _first_break(numbers: list[int]) -> str:
    for place, number in enumerate(numbers):
        if number != place + 1:
            return f"record {place} has {number}"
    return "none"

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from processor.engine.inputs import Record
from tests.checker.artefacts import Artefacts, Published
from tests.checker.memory_run import honest_run, mended_run
from tests.checker.ranges import TICK
from tests.checker.reference import cluster_reference
from tests.checker.verdict import assert_whole, findings

Spoil = Callable[[Artefacts], Artefacts]


@cache
def honest() -> Artefacts:
    return honest_run()


@cache
def mended() -> Artefacts:
    return mended_run()


def without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return tuple(item for place, item in enumerate(items) if place != index % len(items))


def changed(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return tuple(item if place == index % len(items) else old for place, old in enumerate(items))


def with_value(published: Published, **fields: Any) -> Published:
    return replace(published, value={**published.value, **fields})


def with_header(published: Published, name: str, value: str) -> Published:
    headers = tuple((one, value.encode() if one == name else old) for one, old in published.record.headers)
    return replace(published, record=msgspec.structs.replace(published.record, headers=headers))


def commit(artefacts: Artefacts, index: int, **fields: Any) -> Artefacts:
    spoilt = with_value(artefacts.commits[index], **fields)
    return replace(artefacts, commits=changed(artefacts.commits, index, spoilt))


def source(artefacts: Artefacts, index: int, **fields: Any) -> Artefacts:
    old = artefacts.changes[index]
    spoilt = with_value(old, source={**old.value["source"], **fields})
    return replace(artefacts, changes=changed(artefacts.changes, index, spoilt))


def head(artefacts: Artefacts, **fields: Any) -> Artefacts:
    return replace(artefacts, store=replace(artefacts.store, head={**artefacts.store.head, **fields}))


def entity_lost(artefacts: Artefacts) -> Artefacts:
    rest = {key: value for key, value in artefacts.store.entities.items() if key != "model/iris"}
    return replace(artefacts, store=replace(artefacts.store, entities=rest))


def entity_foreign(artefacts: Artefacts) -> Artefacts:
    entities = {**artefacts.store.entities, "model/foreign": artefacts.store.entities["model/iris"]}
    return replace(artefacts, store=replace(artefacts.store, entities=entities))


def letter(artefacts: Artefacts, **fields: Any) -> Artefacts:
    old = artefacts.dead_letters[0]
    return replace(artefacts, dead_letters=(replace(old, record=msgspec.structs.replace(old.record, **fields)),))


def announcement(artefacts: Artefacts, index: int, **fields: Any) -> Artefacts:
    return replace(artefacts, changes=changed(artefacts.changes, index, with_value(artefacts.changes[index], **fields)))


def reordered(artefacts: Artefacts) -> Artefacts:
    first, second, *rest = artefacts.changes
    return replace(artefacts, changes=(second, first, *rest))


def reduced_in_another_order(artefacts: Artefacts) -> Artefacts:
    ranges = artefacts.commits[0].value["ranges"]
    return commit(artefacts, 0, ranges=ranges[::-1])


def range_of(artefacts: Artefacts, index: int, **fields: Any) -> Artefacts:
    first, *rest = artefacts.commits[index].value["ranges"]
    return commit(artefacts, index, ranges=[{**first, **fields}, *rest])


def acknowledged_beyond(artefacts: Artefacts) -> Artefacts:
    return replace(artefacts, acknowledged=(*artefacts.acknowledged, ("normal", 0, 99)))


def unread(artefacts: Artefacts) -> Artefacts:
    late = Record("normal", 0, 8, 1, None, b"", ())
    return replace(artefacts, inputs=(*artefacts.inputs, late))


def ticked(artefacts: Artefacts) -> Artefacts:
    late = Record("normal", 0, 8, 1, None, b"", (TICK,))
    return replace(artefacts, inputs=(*artefacts.inputs, late))


def foreign_epoch(artefacts: Artefacts) -> Artefacts:
    spoilt = with_header(artefacts.changes[-1], "processor-epoch", "1")
    return replace(artefacts, changes=changed(artefacts.changes, -1, spoilt))


def letter_header(artefacts: Artefacts, name: str, value: str) -> Artefacts:
    return replace(artefacts, dead_letters=(with_header(artefacts.dead_letters[0], name, value),))


def cut_letter(artefacts: Artefacts) -> Artefacts:
    record = artefacts.dead_letters[0].record
    told = (("dead-letter-truncated", b"9"), ("dead-letter-sha256", b"00"))
    return letter(artefacts, value=(record.value or b"")[:3], headers=(*record.headers, *told))


def announcement_header(artefacts: Artefacts, name: str, value: str) -> Artefacts:
    return replace(artefacts, changes=changed(artefacts.changes, 0, with_header(artefacts.changes[0], name, value)))


def announced_as(artefacts: Artefacts, key: bytes) -> Artefacts:
    old = artefacts.changes[0]
    spoilt = replace(old, record=msgspec.structs.replace(old.record, key=key))
    return replace(artefacts, changes=changed(artefacts.changes, 0, spoilt))


def commit_key(artefacts: Artefacts) -> Artefacts:
    old = artefacts.commits[0]
    return replace(
        artefacts,
        commits=changed(artefacts.commits, 0, replace(old, record=msgspec.structs.replace(old.record, key=b"9"))),
    )


def entity_other(artefacts: Artefacts) -> Artefacts:
    entities = {**artefacts.store.entities, "model/iris": artefacts.store.entities["model/churn"]}
    return replace(artefacts, store=replace(artefacts.store, entities=entities))


def zombie_wrote(artefacts: Artefacts) -> Artefacts:
    """The first record of the first owner comes once more, aborted, after those of the second."""
    of_changes = [record for record in artefacts.raw if record.topic == artefacts.changes[0].record.topic]
    return replace(artefacts, raw=(*of_changes, of_changes[0]))


def place_of_kind(artefacts: Artefacts, kind: str) -> int:
    return next(place for place, item in enumerate(artefacts.commits) if item.value["kind"] == kind)


def announced_by_repair(artefacts: Artefacts, *, last: bool, **fields: Any) -> Artefacts:
    """Change what the repair of a running owner (or, `last`, an adoption) announced."""
    seqs = [item.value["seq"] for item in artefacts.commits if item.value["kind"] == "repair"]
    place = next(place for place, item in enumerate(artefacts.changes) if item.seq == seqs[-last])
    return announcement(artefacts, place, **fields)


def unannounced_repair(artefacts: Artefacts) -> Artefacts:
    seq = artefacts.commits[place_of_kind(artefacts, "repair")].value["seq"]
    return replace(artefacts, changes=tuple(item for item in artefacts.changes if item.seq != seq))


def without_gap(artefacts: Artefacts) -> Artefacts:
    return replace(artefacts, commits=without(artefacts.commits, place_of_kind(artefacts, "gap")))


OUTCOMES: list[Mapping[str, Any]] = [{"outcome": "applied", "count": 3}]

# What is done to an honest run, and an invariant that must notice.
VIOLATIONS: list[tuple[str, Spoil, str]] = [
    ("an announcement is lost", lambda a: replace(a, changes=without(a.changes, 3)), "numbered"),
    ("the last announcement is lost", lambda a: replace(a, changes=without(a.changes, -1)), "replay"),
    ("an announcement is doubled", lambda a: replace(a, changes=(*a.changes, a.changes[-1])), "numbered"),
    ("announcements are reordered", reordered, "numbered"),
    ("an announcement has another epoch", foreign_epoch, "epochs"),
    ("an announcement has another seq", lambda a: source(a, 4, seq=9), "headers"),
    ("an announcement tells another state", lambda a: announcement(a, 2, after=None), "replay"),
    ("an announcement comes from nowhere", lambda a: announcement(a, 3, before=a.changes[2].value["after"]), "chained"),
    ("an announcement lacks a transition", lambda a: announcement(a, 0, transitions=[]), "replay"),
    ("a rejection has another code", lambda a: announcement(a, -1, code="stale"), "replay"),
    ("a commit is lost", lambda a: replace(a, commits=without(a.commits, 1)), "sequence"),
    ("a commit is doubled", lambda a: replace(a, commits=(*a.commits, a.commits[-1])), "sequence"),
    ("commits are swapped", lambda a: replace(a, commits=a.commits[::-1]), "sequence"),
    ("an epoch falls", lambda a: commit(a, 2, epoch=1), "epochs"),
    ("a digest is wrong", lambda a: commit(a, 3, digest=bytes(16)), "replay"),
    ("a digest before is wrong", lambda a: commit(a, 3, previous_digest=bytes(16)), "replay"),
    ("an outcome is wrong", lambda a: commit(a, 3, outcomes=OUTCOMES), "replay"),
    ("an outcome is missing", lambda a: commit(a, 3, outcomes=[]), "replay"),
    ("a range has a hole before it", lambda a: range_of(a, 1, **{"from": 2}), "contiguous"),
    ("a range overlaps the one before", lambda a: range_of(a, 1, **{"from": 0}), "contiguous"),
    ("a range counts wrong", lambda a: range_of(a, 0, count=7), "contiguous"),
    ("a record is consumed twice", lambda a: range_of(a, 1, **{"from": 0}), "exactly once"),
    ("a record is never consumed", acknowledged_beyond, "exactly once"),
    ("another order was reduced than is recorded", reduced_in_another_order, "replay"),
    ("the inputs are not read to their end", unread, "settled"),
    (
        "a tick that somebody sent is not read",
        lambda a: ticked(replace(a, acknowledged=(*a.acknowledged, ("normal", 0, 8)))),
        "settled",
    ),
    ("the head is behind the commit log", lambda a: head(a, seq=3), "sequence"),
    ("the head has other positions", lambda a: head(a, positions={}), "contiguous"),
    ("the head has another next number", lambda a: head(a, announcements=1), "replay"),
    ("the outbox is not empty", lambda a: replace(a, store=replace(a.store, outbox=("outbox/4",))), "settled"),
    ("an entity is missing in the store", entity_lost, "replay"),
    ("an entity is in the store alone", entity_foreign, "replay"),
    ("a dead letter is lost", lambda a: replace(a, dead_letters=()), "dead letters"),
    ("a dead letter is doubled", lambda a: replace(a, dead_letters=a.dead_letters * 2), "dead letters"),
    ("a dead letter has other bytes", lambda a: letter(a, value=b"else"), "dead letters"),
    ("an announcement has another number", lambda a: source(a, 2, number=9), "numbered"),
    ("an announcement counts its commit wrong", lambda a: source(a, 0, count=9), "numbered"),
    ("an announcement is another shard's", lambda a: source(a, 0, shard=1), "headers"),
    ("an announcement has another key", lambda a: announced_as(a, b"model/else"), "replay"),
    ("an announcement has another operation", lambda a: announcement(a, 0, op="d"), "replay"),
    (
        "an announcement's header says another number",
        lambda a: announcement_header(a, "processor-number", "9"),
        "headers",
    ),
    ("an announcement's header says another id", lambda a: announcement_header(a, "ce_id", "9-9-9"), "headers"),
    ("a commit record has another key", commit_key, "sequence"),
    ("a commit counts its changes wrong", lambda a: commit(a, 0, changed=9), "replay"),
    ("a commit counts its rejections wrong", lambda a: commit(a, 0, rejected=9), "replay"),
    ("a commit counts its dead letters wrong", lambda a: commit(a, 0, dead_lettered=9), "replay"),
    ("a commit counts its announcements wrong", lambda a: commit(a, 0, announcements=9), "replay"),
    ("a commit begins at another number", lambda a: commit(a, 1, first_number=9), "replay"),
    ("the head has an older epoch", lambda a: head(a, epoch=1), "epochs"),
    ("an older epoch wrote after a newer one, in vain", zombie_wrote, "fenced"),
    ("entity keys are behind", lambda a: head(a, pending=3), "settled"),
    ("deltas wait", lambda a: replace(a, store=replace(a.store, deltas=("delta/4",))), "settled"),
    ("an entity has other bytes", entity_other, "replay"),
    ("nothing was sent", lambda a: replace(a, acknowledged=()), "ran"),
    ("nothing was committed", lambda a: replace(a, commits=()), "ran"),
    ("a dead letter has another epoch", lambda a: letter_header(a, "processor-epoch", "1"), "epochs"),
    ("a dead letter has another seq", lambda a: letter_header(a, "processor-seq", "9"), "dead letters"),
    ("a dead letter has another place", lambda a: letter_header(a, "processor-index", "9"), "dead letters"),
    ("a dead letter has no reason", lambda a: letter_header(a, "dead-letter-code", ""), "dead letters"),
    ("a dead letter has another time", lambda a: letter_header(a, "dead-letter-timestamp", "9"), "dead letters"),
    ("a dead letter is of another record", lambda a: letter_header(a, "dead-letter-offset", "0"), "dead letters"),
    ("a dead letter has another key", lambda a: letter(a, key=b"else"), "dead letters"),
    ("a dead letter is cut and does not say what it was", cut_letter, "dead letters"),
    (
        "a dead letter has lost headers",
        lambda a: letter(a, headers=a.dead_letters[0].record.headers[1:]),
        "dead letters",
    ),
]


# The same of a run that was repaired and adopted, whose inputs had a hole, and that went back.
MENDED: list[tuple[str, Spoil, str]] = [
    ("a hole has no commit of its own", without_gap, "contiguous"),
    ("a hole is in a batch", lambda a: commit(a, place_of_kind(a, "gap"), kind="batch"), "exactly once"),
    ("a batch is called a hole", lambda a: commit(a, 0, kind="gap"), "replay"),
    ("a repair consumes", lambda a: commit(a, 1, ranges=a.commits[0].value["ranges"]), "contiguous"),
    ("a repair is not announced", unannounced_repair, "numbered"),
    ("a repair is not in the commit log", lambda a: replace(a, commits=without(a.commits, 1)), "sequence"),
    ("a repair is called a batch", lambda a: commit(a, 1, kind="batch"), "replay"),
    ("a repair announces another state", lambda a: announced_by_repair(a, last=False, after=None), "replay"),
    ("a repair was begun from another state", lambda a: commit(a, 1, previous_digest=bytes(16)), "replay"),
    ("an adoption tells a state before", lambda a: announced_by_repair(a, last=True, before={}), "replay"),
    (
        "an adoption tells a transition",
        lambda a: announced_by_repair(a, last=True, transitions=[{"type": "X"}]),
        "replay",
    ),
    ("an adoption announces another state", lambda a: announced_by_repair(a, last=True, after=None), "replay"),
    ("what was read again is missing", lambda a: replace(a, commits=a.commits[:-1]), "exactly once"),
]


def test_an_honest_run_has_no_findings() -> None:
    artefacts = honest()
    assert_whole(artefacts, cluster_reference(), watched=artefacts.changes)
    outcomes = {run["outcome"] for published in artefacts.commits for run in published.value["outcomes"]}
    assert outcomes == {"applied", "unchanged", "rejected", "dead_lettered"}
    assert len({published.value["epoch"] for published in artefacts.commits}) == 2


@pytest.mark.parametrize(("spoil", "invariant"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS])
def test_a_violation_is_found(spoil: Spoil, invariant: str) -> None:
    assert invariant in findings(spoil(honest()), cluster_reference())


def test_a_tick_of_the_clock_may_be_the_last_word_of_a_processor() -> None:
    assert "settled" not in findings(ticked(honest()), cluster_reference())


def test_a_run_that_was_mended_honestly_has_no_findings() -> None:
    artefacts = mended()
    assert_whole(artefacts, cluster_reference(), watched=artefacts.changes)
    assert [item.value["kind"] for item in artefacts.commits] == [
        *("batch", "repair", "batch", "repair", "gap", "batch", "batch", "gap", "batch", "batch")
    ]


@pytest.mark.parametrize(("spoil", "invariant"), [row[1:] for row in MENDED], ids=[row[0] for row in MENDED])
def test_a_violation_in_a_mended_run_is_found(spoil: Spoil, invariant: str) -> None:
    assert invariant in findings(spoil(mended()), cluster_reference())


def test_a_consumer_that_saw_something_else_along_the_way_is_found() -> None:
    artefacts = honest()
    assert "read along" in findings(artefacts, cluster_reference(), watched=artefacts.changes[1:])


def test_the_failure_names_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="head has seq 3"):
        assert_whole(head(honest(), seq=3), cluster_reference())

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from processor.engine.values import Record
from tests.checker.artefacts import Artefacts, Published
from tests.checker.memory_run import honest_run
from tests.checker.reference import cluster_reference
from tests.checker.verdict import assert_whole, findings

Spoil = Callable[[Artefacts], Artefacts]


@cache
def honest() -> Artefacts:
    return honest_run()


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


def foreign_epoch(artefacts: Artefacts) -> Artefacts:
    spoilt = with_header(artefacts.changes[-1], "processor-epoch", "1")
    return replace(artefacts, changes=changed(artefacts.changes, -1, spoilt))


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
    ("the head is behind the commit log", lambda a: head(a, seq=3), "sequence"),
    ("the head has other positions", lambda a: head(a, positions={}), "contiguous"),
    ("the head has another next number", lambda a: head(a, announcements=1), "replay"),
    ("the outbox is not empty", lambda a: replace(a, store=replace(a.store, outbox=("outbox/4",))), "settled"),
    ("an entity is missing in the store", entity_lost, "replay"),
    ("an entity is in the store alone", entity_foreign, "replay"),
    ("a dead letter is lost", lambda a: replace(a, dead_letters=()), "dead letters"),
    ("a dead letter is doubled", lambda a: replace(a, dead_letters=a.dead_letters * 2), "dead letters"),
    ("a dead letter has other bytes", lambda a: letter(a, value=b"else"), "dead letters"),
    (
        "a dead letter has lost headers",
        lambda a: letter(a, headers=a.dead_letters[0].record.headers[1:]),
        "dead letters",
    ),
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


def test_a_consumer_that_saw_something_else_along_the_way_is_found() -> None:
    artefacts = honest()
    assert "read along" in findings(artefacts, cluster_reference(), watched=artefacts.changes[1:])


def test_the_failure_names_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="head has seq 3"):
        assert_whole(head(honest(), seq=3), cluster_reference())

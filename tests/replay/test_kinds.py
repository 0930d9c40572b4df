"""Commits that no event explains: repairs, gaps, upgrades, rebuilds, and what other versions made."""

from typing import Any

import msgspec
import pytest

from processor.cluster.machine import ClusterMachine
from processor.engine.inputs import TopicFacts
from processor.engine.operator.adoption import adopt
from processor.engine.operator.moving import Move, move, plan_move
from processor.engine.operator.swapping import swap
from processor.engine.values import Head
from processor.memory.broker import NewRecord
from processor.memory.cluster import Shard as Keys
from processor.replay.recording import Recording
from processor.replay.replaying import BEGINNING, Folding, replay_to
from processor.replay.verifying import Verifier
from tests.replay.shard import PLACE, Past, Shard, lived, load


class NextMachine(ClusterMachine):
    """A later version, which makes the same of all events."""

    version = ClusterMachine.version + 1


def _verified(shard: Shard, past: Past | None = None) -> Verifier:
    verifier = Verifier()
    replayed = replay_to((past or shard.past()).sources, shard.build, watch=verifier)
    if verifier.agrees:
        assert (replayed.head.digest, replayed.head.positions) == (shard.head.digest, shard.head.positions)
    return verifier


def _edit(shard: Shard, values: dict[str, bytes | None]) -> None:
    """Change entities behind the head's back."""

    def change(keys: Keys, revision: int) -> None:
        for key, value in values.items():
            keys.put_entity(key, value, revision)

    shard.world.cluster.write(0, lambda _: True, change)


def _stored(shard: Shard) -> dict[str, bytes]:
    return dict(shard.store.load().entities)


def _go_on(shard: Shard) -> None:
    load(shard, "afterwards")
    shard.process()


def test_an_adopted_edit_is_taken_as_it_was_announced() -> None:
    shard = lived()
    server = shard.encoder.decode("server/cpu", _stored(shard)["server/cpu"])
    edited = msgspec.structs.replace(server, declared=not server.declared)
    _edit(shard, {"server/cpu": shard.encoder.encode("server/cpu", edited)})
    adopt(shard.parts())
    _go_on(shard)
    assert _verified(shard).findings == []


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_taken_away_by_hand_is_found_by_the_digest(count: int) -> None:
    shard = lived()
    gone = [key for key in _stored(shard) if key.startswith("model/")][:count]
    assert len(gone) == count
    _edit(shard, dict.fromkeys(gone))
    adopt(shard.parts())
    _go_on(shard)
    assert _verified(shard).findings == []


def test_a_repair_that_cannot_be_told_is_found() -> None:
    shard = lived()
    _edit(shard, dict.fromkeys(_stored(shard)))
    adopt(shard.parts())
    repair = shard.head.seq
    _go_on(shard)
    finding = _verified(shard).findings[0]
    assert (finding.seq, finding.what) == (repair, "digest")


def test_positions_moved_back_and_forth_are_followed() -> None:
    shard = lived()

    def back(head: Head, facts: TopicFacts) -> Move:
        return plan_move(head, facts, {("normal", 0): 1}, topics=())

    move(shard.parts(), back, action="reset", by="me")
    shard.process()
    load(shard, "one", "two", "three")

    def on(head: Head, facts: TopicFacts) -> Move:
        return plan_move(head, facts, {("normal", 0): facts.inputs["normal", 0].high - 1}, topics=())

    move(shard.parts(), on, action="accept-gap", by="me")
    shard.process()
    assert _verified(shard).findings == []


def test_before_an_upgrade_entities_are_taken_as_announced_and_digests_compared_from_it_on() -> None:
    shard = lived()
    before = shard.head.seq
    shard.machine = NextMachine()
    _go_on(shard)
    verifier = _verified(shard)
    assert verifier.findings == []
    assert [(one.first, one.last, one.reducer_version, one.way, one.compared) for one in verifier.stretches] == [
        (1, before, 1, "announced", False),
        (before + 1, shard.head.seq, 2, "folded", True),
    ]
    assert verifier.compared == shard.head.seq - before


def test_when_the_older_announcements_are_gone_the_events_are_folded_by_this_build() -> None:
    shard = lived()
    before = shard.head.seq
    shard.machine = NextMachine()
    _go_on(shard)
    past = shard.past()
    past.topics["changes"].records = past.topics["changes"].records[-1:]
    verifier = _verified(shard, past)
    assert verifier.findings == []
    older = verifier.stretches[0]
    assert (older.last, older.way, older.compared) == (before, "folded", False)


def test_a_rebuilt_state_is_taken_as_it_was_announced() -> None:
    shard = lived()
    other = lived()
    other.submit("ModelUnloadRequested", {"model": "iris", "generation": 2})
    other.submit("ModelReplicaLoaded", {"model": "churn", **PLACE})
    other.process()
    wanted = shard.machine.load((key, shard.encoder.decode(key, value)) for key, value in _stored(other).items())
    assert swap(shard.parts(), lambda _: wanted, by="me", facts={}).needed
    _go_on(shard)
    assert _verified(shard).findings == []
    kinds = [step.commit.kind for step in _steps(shard)]
    assert kinds.count("rebuild") == 1


def _steps(shard: Shard) -> list[Any]:
    steps: list[Any] = []
    replay_to(shard.past().sources, shard.build, watch=steps.append)
    return steps


def test_a_fold_may_be_told_to_reduce_what_every_version_recorded() -> None:
    shard = lived()
    build = msgspec.structs.replace(shard.build, machine=NextMachine())
    folding = Folding(build, BEGINNING, every_version=True)
    with Recording(shard.past().sources) as recording:
        for recorded in recording.commits():
            assert folding.take(recorded).way == "folded"
        assert folding.replayed(recording.positions).head.digest == shard.head.digest


def test_ends_of_transactions_that_are_gone_from_an_input_are_no_records_that_are_missing() -> None:
    shard = Shard()
    value = shard.reference.schemas.encode("processor.events.ClockTicked", {})
    for _ in range(2):
        epoch = shard.world.broker.register("producer")
        record = NewRecord("normal", 0, b"cluster", value, (("ce_source", b"/t"),))
        shard.world.broker.write("producer", epoch, [record])
        shard.world.broker.commit("producer", epoch)
        shard.process()
    shard.world.broker.trim("normal", 0, 2)
    with Recording(shard.past().sources, seq=1, positions={"normal": {0: 1}}) as recording:
        recorded = next(recording.commits())
        assert [(span.start, span.end, span.count) for span in recorded.commit.ranges] == [(1, 3, 1)]
        assert [record.offset for record in recorded.records] == [2]

"""Another history beside the recorded one."""

from typing import Any

import msgspec

from processor.cluster.difference import differences
from processor.engine.inputs import Accepted, Cause
from processor.replay.replaying import BEGINNING
from processor.replay.whatif import EventEdits, WhatIf, what_if
from tests.checker.memory_run import POLICY
from tests.replay.other_machines import Broken, NoChurn
from tests.replay.shard import Shard


def _instead(shard: Shard, edits: EventEdits | None = None, machine: Any = None, target: int | None = None) -> WhatIf:
    build = shard.build if machine is None else msgspec.structs.replace(shard.build, machine=machine)
    return what_if(
        shard.past().sources,
        shard.build,
        build,
        target or shard.head.seq,
        start=BEGINNING,
        edits=edits or EventEdits(),
        watch=lambda _: None,
    )


def _event(shard: Shard, event: str, data: Any) -> Accepted:
    value = shard.reference.schemas.encode(f"processor.events.{event}", data)
    decoded = shard.reference.decoder.decode(
        msgspec.structs.replace(shard.past().topics["normal"].records[0], value=value, offset=99)
    )
    assert isinstance(decoded, Accepted)
    return msgspec.structs.replace(decoded, cause=Cause("file", 0, 1, "file-1", event))


def _names(found: WhatIf) -> list[str]:
    return [f"{one['op']} {one['kind']}/{one['name']}" for one in differences(found.actual.state, found.other.state)]


def test_without_any_change_the_histories_never_part(shard: Shard) -> None:
    found = _instead(shard)
    assert (found.parted, found.joined, found.turned, _names(found)) == (None, None, 0, [])
    assert found.actual.head == found.other.head
    assert found.actual.head.digest == shard.head.digest


def test_another_machine_shows_exactly_what_differs_and_from_where_on(shard: Shard) -> None:
    found = _instead(shard, machine=NoChurn())
    assert "delete model/churn" in _names(found)
    assert not [name for name in _names(found) if name.startswith("create")]
    (turn,) = [turn for turn in found.turns if turn.type == "ModelLoadRequested"]
    assert (turn.seq, turn.recorded, turn.instead) == (found.parted, "applied", "rejected")


def test_a_machine_that_fails_at_every_event_makes_no_state(shard: Shard) -> None:
    found = _instead(shard, machine=Broken())
    assert {turn.instead for turn in found.turns} == {"dead_lettered"}
    assert found.turned == len(found.turns)
    assert all(name.startswith(("delete", "update policy")) for name in _names(found))


def test_an_event_left_out_changes_what_came_of_later_ones(shard: Shard) -> None:
    records = shard.past().topics["normal"].records
    at = next(record.offset for record in records if b"churn" in (record.value or b""))
    found = _instead(shard, EventEdits(without=frozenset({f"normal-0-{at}"})))
    assert (found.left_out, "delete model/churn" in _names(found)) == (1, True)
    assert _instead(shard, EventEdits(without=frozenset({"nobody"}))).left_out == 0


def test_an_event_put_in_is_reduced_right_after_its_commit(shard: Shard) -> None:
    extra = _event(shard, "ServerReplicaConnected", {"server": "gpu", "replica": 0, "memory": 1})
    for after in range(shard.head.seq + 1):
        found = _instead(shard, EventEdits(extra=(extra,), after_seq=after))
        assert found.extra_outcomes == ("applied",)
        assert found.parted == after + 1
        assert "create server/gpu" in _names(found)


def test_histories_that_become_the_same_again_are_told_to(shard: Shard) -> None:
    extra = _event(shard, "PolicyChanged", {**POLICY, "retry_limit": 99})
    found = _instead(shard, EventEdits(extra=(extra,), after_seq=0))
    assert (found.extra_outcomes, found.parted) == (("applied",), 1)
    assert found.joined is not None
    assert 1 < found.joined <= shard.head.seq
    assert found.actual.head.digest == found.other.head.digest

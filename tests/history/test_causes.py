"""Single commits reduced once more, event by event; events come ready decoded."""

from typing import Any

import msgspec

from processor.cluster.entities import Policy
from processor.cluster.event_parsing import parse_event
from processor.cluster.state import State
from processor.engine.inputs import Accepted, Cause, Decoded, Record, Undecodable
from processor.history.causes import Causes, entity
from tests.cluster.world import World

SEQ = 4


class Decoder:
    """Decodes records that hold [type, data] as JSON."""

    def decode(self, record: Record) -> Decoded:
        name, data = msgspec.json.decode(record.value or b"[]")
        cause = Cause(record.topic, 0, record.offset, "id", name)
        if name == "Nonsense":
            return Undecodable(cause, "undecodable", "")
        return Accepted(cause, parse_event(name, record.timestamp_ms, data))

    def identify(self, record: Record) -> Undecodable:
        raise AssertionError(record)


def _record(name: str, **data: Any) -> Record:
    return Record("normal", 0, 0, 5_000, None, msgspec.json.encode([name, data]))


def _causes(state: State | None) -> Causes:
    def before(seq: int) -> State | None:
        assert seq == SEQ
        return state

    return Causes(before, Decoder())


CONNECTED = _record("ServerReplicaConnected", server="s1", replica=0, memory=500)
LOADED = _record("ModelLoadRequested", model="iris", spec={"uri": "s3://x", "memory": 10})
OTHER = _record("ModelLoadRequested", model="rose", spec={"uri": "s3://x", "memory": 10})


def test_only_the_events_that_changed_the_entity_have_effects_on_it() -> None:
    effects = _causes(World().state)(SEQ, [OTHER, CONNECTED, LOADED], "model/rose")
    assert effects is not None
    created, placed, other = effects
    assert "name" in created
    assert any(field.startswith("versions.0.") for field in placed)
    assert other == ()


def test_an_event_that_does_not_name_the_entity_may_be_its_cause() -> None:
    world = World()
    world.connect("s0", memory=5)
    world.load("iris", memory=10)
    (effect,) = _causes(world.state)(SEQ, [CONNECTED], "model/iris") or [()]
    assert "versions.0.server" in effect


def test_an_entity_is_found_by_its_key() -> None:
    world = World()
    world.connect("s0", memory=5)
    world.load("iris", memory=10)
    assert entity(world.state, "failure/model/iris") is world.state.failures["model/iris"]
    assert entity(world.state, "model/rose") is None


def test_nothing_is_said_without_the_state_before() -> None:
    assert _causes(None)(SEQ, [LOADED], "model/iris") is None
    assert _causes(World().state)(SEQ, [], "model/iris") is None


def test_what_cannot_be_read_or_is_refused_by_this_build_changes_nothing() -> None:
    world = World()
    world.load("iris", generation=5)
    stale = _record("ModelLoadRequested", model="iris", generation=1, spec={"uri": "s3://x"})
    assert _causes(world.state)(SEQ, [_record("Nonsense"), stale], "model/iris") == [(), ()]


def test_the_policy_is_an_entity_like_any_other() -> None:
    changed = _record("PolicyChanged", **{**msgspec.structs.asdict(Policy()), "retry_limit": 9})
    assert _causes(World().state)(SEQ, [changed], "policy/cluster") == [("retry_limit",)]

"""The folded state beside the store's."""

from typing import Any

import msgspec
import pytest

from processor.history.stored import StoredState
from processor.replay.replaying import Replayed, replay_to
from processor.replay.verifying import ENTITIES_NAMED_MAX, compare_with_store
from tests.replay.shard import Shard, lived, load


@pytest.fixture
def replayed(shard: Shard) -> Replayed:
    return replay_to(shard.past().sources, shard.build)


def _stored(replayed: Replayed, *, state: Any = None, digest: str = "", **head: Any) -> StoredState:
    stored = msgspec.structs.replace(replayed.head, **head)
    return StoredState(stored, state or replayed.state, digest or replayed.head.digest)


def _said(shard: Shard, stored: StoredState, replayed: Replayed) -> list[str]:
    return [finding.message for finding in compare_with_store(stored, replayed, shard.machine)]


def test_equal_states_leave_nothing_to_say(shard: Shard, replayed: Replayed) -> None:
    assert _said(shard, _stored(replayed), replayed) == []


def test_each_entity_that_differs_is_named(shard: Shard, replayed: Replayed) -> None:
    entities = dict(shard.machine.entities(replayed.state))
    server = entities.pop("server/cpu")
    entities["server/other"] = msgspec.structs.replace(server, name="other")
    entities["model/iris"] = msgspec.structs.replace(entities["model/iris"], generation=77)
    stored = _stored(replayed, state=shard.machine.load(entities.items()), digest="00")
    assert _said(shard, stored, replayed) == [
        f"the store's state has digest 00, its head says {replayed.head.digest}",
        f"the store's state has digest 00, the folded one {replayed.head.digest}",
        "server/cpu is not in the store",
        "server/other is not in the fold",
        "model/iris differs from the fold",
    ]


def test_only_so_many_are_named(replayed: Replayed) -> None:
    shard = lived()
    load(shard, *(f"model-{number}" for number in range(ENTITIES_NAMED_MAX + 3)))
    shard.process()
    more = replay_to(shard.past().sources, shard.build)
    said = _said(shard, _stored(replayed, state=more.state), replayed)
    assert len(said) == ENTITIES_NAMED_MAX + 1
    assert said[-1].startswith("and ")


def test_positions_and_numbers_are_compared(shard: Shard, replayed: Replayed) -> None:
    stored = _stored(replayed, positions={"high": replayed.head.positions["high"]}, announcements=1)
    assert _said(shard, stored, replayed) == [
        f"the store's position in normal[0] is None, the commit log's {replayed.head.positions['normal'][0]}",
        f"the store's next number is 1, the commit log's {replayed.head.announcements}",
    ]

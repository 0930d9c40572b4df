"""The folded state beside the store's."""

from typing import Any

import msgspec
import pytest

from processor.replay.live import NAMED_MAX, Live, compare_with
from processor.replay.replaying import Replayed, replay_to
from tests.replay.shard import Shard, lived, load


@pytest.fixture(scope="module")
def shard() -> Shard:
    return lived()


@pytest.fixture
def replayed(shard: Shard) -> Replayed:
    return replay_to(shard.past().sources, shard.build)


def _live(replayed: Replayed, **fields: Any) -> Live:
    head = replayed.head
    same = Live(head.seq, replayed.state, head.digest, head.digest, head.positions, head.announcements)
    return msgspec.structs.replace(same, **fields)


def _said(shard: Shard, live: Live, replayed: Replayed) -> list[str]:
    return [finding.message for finding in compare_with(live, replayed, shard.machine)]


def test_equal_states_leave_nothing_to_say(shard: Shard, replayed: Replayed) -> None:
    assert _said(shard, _live(replayed), replayed) == []


def test_each_entity_that_differs_is_named(shard: Shard, replayed: Replayed) -> None:
    entities = dict(shard.machine.entities(replayed.state))
    server = entities.pop("server/cpu")
    entities["server/other"] = msgspec.structs.replace(server, name="other")
    entities["model/iris"] = msgspec.structs.replace(entities["model/iris"], generation=77)
    live = _live(replayed, state=shard.machine.load(entities.items()), digest="00", head_digest="01")
    assert _said(shard, live, replayed) == [
        "the store's state has digest 00, its head says 01",
        f"the store's state has digest 00, the folded one {replayed.head.digest}",
        "server/cpu is not in the store",
        "server/other is not in the fold",
        "model/iris differs from the fold",
    ]


def test_only_so_many_are_named(replayed: Replayed) -> None:
    shard = lived()
    load(shard, *(f"model-{number}" for number in range(NAMED_MAX + 3)))
    shard.process()
    more = replay_to(shard.past().sources, shard.build)
    said = _said(shard, _live(replayed, state=more.state), replayed)
    assert len(said) == NAMED_MAX + 1
    assert said[-1].startswith("and ")


def test_positions_and_numbers_are_compared(shard: Shard, replayed: Replayed) -> None:
    live = _live(replayed, positions={"high": replayed.head.positions["high"]}, announcements=1)
    assert _said(shard, live, replayed) == [
        f"the store's position in normal[0] is None, the commit log's {replayed.head.positions['normal'][0]}",
        f"the store's next number is 1, the commit log's {replayed.head.announcements}",
    ]

from random import Random

from processor.demo.fleet import POOLS, Fleet, Pool
from processor.demo.notices import Notice

POOL = Pool("s1", ("sklearn",), 1000, 2, 1, 4)


def _joined() -> Fleet:
    fleet, _ = Fleet.of((POOL,)).join()
    return fleet


def _scale(to: int) -> Notice:
    return Notice("server", "s1", {}, ({"type": "ServerScaleRequested", "to": to},))


def test_it_declares_its_servers_before_their_replicas_join() -> None:
    fleet, events = Fleet.of().join()
    types = [event.type for event in events]
    assert types == ["ServerDeclared"] * len(POOLS) + ["ServerReplicaConnected"] * len(fleet.agents)
    assert len(fleet.agents) == sum(pool.expected_replicas for pool in POOLS)


def test_a_replica_that_dies_is_told_of_and_comes_back_empty() -> None:
    fleet, events = _joined().die(("s1", 0), 0, Random(1))
    assert [event.type for event in events] == ["ServerReplicaDisconnected"]
    assert ("s1", 0) not in fleet.agents
    fleet, nothing = fleet.act(1, Random(1))
    fleet, back = fleet.act(60_000, Random(1))
    assert nothing == []
    assert [event.data["loaded_models"] for event in back] == [[]]
    assert ("s1", 0) in fleet.agents


def test_nobody_dies_twice() -> None:
    fleet, _ = _joined().die(("s1", 0), 0, Random(1))
    assert fleet.die(("s1", 0), 0, Random(1)) == (fleet, [])
    assert fleet.drain(("s1", 0)) == []


def test_more_replicas_join_when_the_server_is_scaled_up() -> None:
    fleet, events = _joined().rescale(_scale(4))
    assert [event.type for event in events] == ["ServerDeclared", "ServerReplicaConnected", "ServerReplicaConnected"]
    assert (events[0].data["expected_replicas"], events[0].data["generation"]) == (4, 2)
    assert sorted(fleet.agents) == [("s1", index) for index in range(4)]


def test_one_that_is_away_counts_when_the_server_is_scaled_up() -> None:
    fleet, _ = _joined().die(("s1", 0), 0, Random(1))
    fleet, _ = fleet.rescale(_scale(3))
    fleet, _ = fleet.act(60_000, Random(1))
    assert sorted(fleet.agents) == [("s1", 0), ("s1", 1), ("s1", 2)]


def test_the_highest_replica_drains_and_stays_away_when_the_server_is_scaled_down() -> None:
    fleet, events = _joined().rescale(_scale(1))
    assert [(event.type, event.data.get("replica")) for event in events] == [
        ("ServerDeclared", None),
        ("ServerReplicaDraining", 1),
    ]
    drained = Notice("server", "s1", {}, ({"type": "ServerReplicaDrained", "replica": 1},))
    fleet, left = fleet.hear(drained, 0, Random(1)).act(60_000, Random(1))
    assert [event.type for event in left] == ["ServerReplicaDisconnected"]
    fleet, nothing = fleet.act(600_000, Random(1))
    assert (sorted(fleet.agents), nothing) == ([("s1", 0)], [])


def test_other_servers_and_other_news_do_not_rescale_it() -> None:
    fleet = _joined()
    other = Notice("server", "s2", {}, ({"type": "ServerScaleRequested", "to": 3},))
    assert fleet.rescale(other) == (fleet, [])
    assert fleet.rescale(Notice("server", "s1", {}, ())) == (fleet, [])

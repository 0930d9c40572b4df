from random import Random

from processor.demo.agents import Agent
from processor.demo.notices import Event, Notice

MODEL = {"versions": [{"version": 1, "spec": {"memory": 100, "instances": 2}}]}


class _Certain(Random):
    """Chance with a known outcome: loads succeed (0.99) or fail (0.0), every delay is its least."""

    def __init__(self, roll: float) -> None:
        super().__init__(0)
        self._roll = roll

    def random(self) -> float:
        return self._roll

    def randint(self, a: int, b: int) -> int:
        del b
        return a


LUCK, BAD_LUCK = _Certain(0.99), _Certain(0.0)


def _asked(type_name: str, server: str = "s1", replica: int = 0) -> Notice:
    return Notice("model", "iris", MODEL, ({"type": type_name, "version": 1, "server": server, "replica": replica},))


def _agent() -> Agent:
    return Agent("s1", 0, ("sklearn",), 1000)


def _run(agent: Agent, until_ms: int = 10_000) -> tuple[Agent, list[Event]]:
    return agent.act(until_ms)


def test_a_load_is_reported_when_it_begins_and_when_it_ends() -> None:
    agent, events = _run(_agent().hear(_asked("ReplicaLoadRequested"), 0, LUCK))
    target = {"model": "iris", "version": 1, "server": "s1", "replica": 0}
    assert events == [
        Event("ModelReplicaLoading", target),
        Event("ModelReplicaLoaded", {**target, "available_memory": 800}),
    ]
    assert agent.available() == 800


def test_a_load_takes_its_time() -> None:
    agent = _agent().hear(_asked("ReplicaLoadRequested"), 0, LUCK)
    agent, nothing = agent.act(9)
    agent, begun = agent.act(10)
    agent, ended = agent.act(90)
    assert (nothing, [event.type for event in begun], [event.type for event in ended]) == (
        [],
        ["ModelReplicaLoading"],
        ["ModelReplicaLoaded"],
    )


def test_a_load_may_fail_and_holds_nothing_then() -> None:
    agent, events = _run(_agent().hear(_asked("ReplicaLoadRequested"), 0, BAD_LUCK))
    assert [event.type for event in events] == ["ModelReplicaLoading", "ModelReplicaLoadFailed"]
    assert events[-1].data["reason"]
    assert agent.loaded == {}


def test_an_unload_gives_the_memory_back() -> None:
    loaded, _ = _run(_agent().hear(_asked("ReplicaLoadRequested"), 0, LUCK))
    agent, events = _run(loaded.hear(_asked("ReplicaUnloadRequested"), 10_000, LUCK), 20_000)
    assert [event.type for event in events] == ["ModelReplicaUnloading", "ModelReplicaUnloaded"]
    assert events[-1].data["available_memory"] == 1000
    assert agent.loaded == {}


def test_what_others_are_told_is_nothing_to_it() -> None:
    agent = _agent()
    for notice in (_asked("ReplicaLoadRequested", server="s2"), _asked("ReplicaLoadRequested", replica=1)):
        assert agent.hear(notice, 0, LUCK).jobs == ()
    assert agent.hear(Notice("policy", "cluster", {}, ()), 0, LUCK) is agent


def test_an_orphan_is_unloaded() -> None:
    agent = Agent("s1", 0, (), 1000, loaded={("iris", 7): 400})
    orphan = Notice(
        "server", "s1", {}, ({"type": "OrphanUnloadRequested", "replica": 0, "model": "iris", "version": 7},)
    )
    agent, events = _run(agent.hear(orphan, 0, LUCK))
    assert [(event.type, event.data["available_memory"]) for event in events] == [("ModelReplicaUnloaded", 1000)]
    assert agent.loaded == {}


def test_a_drained_replica_leaves() -> None:
    drained = Notice("server", "s1", {}, ({"type": "ServerReplicaDrained", "replica": 0},))
    agent, events = _run(_agent().hear(drained, 0, LUCK))
    assert events == [agent.disconnected("drained")]
    assert agent.gone


def test_it_joins_telling_what_it_still_holds() -> None:
    agent = Agent("s1", 0, ("sklearn",), 1000, loaded={("iris", 2): 400, ("ant", 1): 100})
    data = agent.connected().data
    assert data["loaded_models"] == [{"model": "ant", "version": 1}, {"model": "iris", "version": 2}]
    assert data["available_memory"] == 500


def test_the_same_chance_gives_the_same_life() -> None:
    lives = [_agent().hear(_asked("ReplicaLoadRequested"), 0, Random(7)) for _ in range(2)]
    assert lives[0] == lives[1]

"""The fleet: all agents, those temporarily away, and the declarations of the servers."""

from collections.abc import Mapping
from random import Random
from typing import Self

import msgspec

from processor.demo.agents import Agent
from processor.demo.notices import Event, Notice

AWAY_MS = (800, 2500)
MAINTENANCE_MS = (5000, 6000)
FLAP_MS = (200, 300)
GIBIBYTE = 1 << 30

ReplicaId = tuple[str, int]


class Pool(msgspec.Struct, frozen=True):
    """One server: what each of its replicas offers, and what was declared."""

    server: str
    capabilities: tuple[str, ...]
    memory: int
    expected_replicas: int
    min_replicas: int
    max_replicas: int
    generation: int = 1
    staged: bool = False
    """Only the script drains or kills its replicas."""

    def declared(self) -> Event:
        """Return the event that declares it."""
        fields = ("server", "generation", "expected_replicas", "min_replicas", "max_replicas")
        return Event("ServerDeclared", {field: getattr(self, field) for field in fields} | {"shared": True})

    def agent(self, replica: int) -> Agent:
        """Return a new, empty replica."""
        return Agent(self.server, replica, self.capabilities, self.memory)


class Absence(msgspec.Struct, frozen=True):
    """An agent that comes back at `back_ms`."""

    back_ms: int
    agent: Agent


POOLS = (
    Pool("cpu", ("sklearn", "xgboost"), 16 * GIBIBYTE, 2, 1, 4),
    Pool("gpu", ("cuda", "torch"), 40 * GIBIBYTE, 1, 1, 3),
    Pool("edge", ("sklearn",), 4 * GIBIBYTE, 1, 1, 2),
    Pool("batch", ("sklearn", "xgboost"), 16 * GIBIBYTE, 2, 2, 2, staged=True),
    Pool("lab", ("sklearn",), 2 * GIBIBYTE, 1, 1, 1, staged=True),
)


class Fleet(msgspec.Struct, frozen=True):
    """All pools and agents."""

    pools: Mapping[str, Pool]
    agents: Mapping[ReplicaId, Agent] = {}
    absent: tuple[Absence, ...] = ()
    surplus: frozenset[ReplicaId] = frozenset()
    maintained: frozenset[ReplicaId] = frozenset()

    @classmethod
    def of(cls, pools: tuple[Pool, ...] = POOLS, *, generation: int = 1) -> Self:
        """Return a fleet that has not joined yet; its declarations count from this generation."""
        return cls({pool.server: msgspec.structs.replace(pool, generation=generation) for pool in pools})

    def join(self) -> tuple["Fleet", list[Event]]:
        """Declare every server and connect the replicas it expects."""
        agents = [pool.agent(index) for pool in self.pools.values() for index in range(pool.expected_replicas)]
        events = [pool.declared() for pool in self.pools.values()]
        return _with(self, agents), events + [agent.connected() for agent in agents]

    def hear(self, notice: Notice, now_ms: int, random: Random) -> Self:
        """Pass an announcement to every agent."""
        agents = {place: agent.hear(notice, now_ms, random) for place, agent in self.agents.items()}
        return msgspec.structs.replace(self, agents=agents)

    def rescale(self, notice: Notice) -> tuple["Fleet", list[Event]]:
        """Follow a server's scale request: declare the new number, then join or drain replicas."""
        requested = notice.of_type("ServerScaleRequested")
        if notice.kind != "server" or not requested or notice.name not in self.pools:
            return self, []
        pool = self.pools[notice.name]
        pool = msgspec.structs.replace(pool, expected_replicas=requested[-1]["to"], generation=pool.generation + 1)
        fleet, events = _resized(msgspec.structs.replace(self, pools={**self.pools, pool.server: pool}), pool)
        return fleet, [pool.declared(), *events]

    def act(self, now_ms: int, random: Random) -> tuple["Fleet", list[Event]]:
        """Let every agent do what is due, and bring back those whose absence is over."""
        fleet: Fleet = self
        events: list[Event] = []
        for agent in self.agents.values():
            after, reports = agent.act(now_ms)
            fleet = _without(fleet, after, now_ms, random) if after.gone else _with(fleet, [after])
            events += reports
        back = [absence.agent for absence in fleet.absent if absence.back_ms <= now_ms]
        away = tuple(absence for absence in fleet.absent if absence.back_ms > now_ms)
        fleet = msgspec.structs.replace(_with(fleet, back), absent=away)
        return fleet, events + [agent.connected() for agent in back]

    def drain(self, place: ReplicaId) -> list[Event]:
        """Return the event that drains a replica; none if it is away."""
        return [self.agents[place].draining()] if place in self.agents else []

    def drain_server(self, server: str) -> tuple[Self, list[Event]]:
        """Return the events that drain all replicas of a server, which stay away for its maintenance."""
        places = [place for place in sorted(self.agents) if place[0] == server]
        fleet = msgspec.structs.replace(self, maintained=self.maintained | set(places))
        return fleet, [self.agents[place].draining() for place in places]

    def die(
        self, place: ReplicaId, now_ms: int, random: Random, *, away_ms: tuple[int, int] = AWAY_MS
    ) -> tuple["Fleet", list[Event]]:
        """Kill a replica: its models and jobs are lost. It comes back empty."""
        if place not in self.agents:
            return self, []
        agent = self.agents[place]
        return _without(self, agent, now_ms, random, away_ms=away_ms), [agent.disconnected("connection lost")]

    def flap(self, place: ReplicaId, now_ms: int, random: Random) -> tuple["Fleet", list[Event]]:
        """Kill a replica that comes back at once."""
        return self.die(place, now_ms, random, away_ms=FLAP_MS)

    def expendable(self) -> tuple[ReplicaId, ...]:
        """Return the replicas that chance may drain or kill."""
        return tuple(place for place in self.agents if not self.pools[place[0]].staged)


def _resized(fleet: Fleet, pool: Pool) -> tuple[Fleet, list[Event]]:
    present = sorted(index for server, index in fleet.agents if server == pool.server)
    away = {absence.agent.replica for absence in fleet.absent if absence.agent.server == pool.server}
    taken = {*present, *away}
    free = [index for index in range(pool.expected_replicas) if index not in taken]
    joining = [pool.agent(index) for index in free[: max(0, pool.expected_replicas - len(taken))]]
    leaving = [fleet.agents[pool.server, index] for index in present[pool.expected_replicas :]]
    surplus = fleet.surplus | {(agent.server, agent.replica) for agent in leaving}
    resized = msgspec.structs.replace(_with(fleet, joining), surplus=surplus)
    return resized, [agent.connected() for agent in joining] + [agent.draining() for agent in leaving]


def _with(fleet: Fleet, agents: list[Agent]) -> Fleet:
    more = {(agent.server, agent.replica): agent for agent in agents}
    return msgspec.structs.replace(fleet, agents={**fleet.agents, **more})


def _without(fleet: Fleet, agent: Agent, now_ms: int, random: Random, *, away_ms: tuple[int, int] = AWAY_MS) -> Fleet:
    """Remove an agent; unless it is surplus, it comes back empty after a while."""
    place = (agent.server, agent.replica)
    agents = {other: one for other, one in fleet.agents.items() if other != place}
    if place in fleet.surplus:
        return msgspec.structs.replace(fleet, agents=agents, surplus=fleet.surplus - {place})
    away_ms = MAINTENANCE_MS if place in fleet.maintained else away_ms
    back = Absence(now_ms + random.randint(*away_ms), fleet.pools[agent.server].agent(agent.replica))
    return msgspec.structs.replace(
        fleet, agents=agents, absent=(*fleet.absent, back), maintained=fleet.maintained - {place}
    )

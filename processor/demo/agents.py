"""An agent: a simulated server replica that loads and unloads models on request."""

from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Any, Literal, Self

import msgspec

from processor.demo.notices import Event, Notice

LOAD_FAILS_RATIO = 0.06
BROKEN, FLAKY = "broken", "flaky"
"""Last segment of the URI of builds that never load, and that fail to load once."""
BROKEN_REASON = "this build is broken"
CHANCE_REASON = "weights did not match their checksum"
START_MS = (10, 60)
LOAD_MS = (80, 400)
UNLOAD_MS = (20, 120)

Verb = Literal["start_load", "end_load", "fail_load", "start_unload", "end_unload", "leave"]
Hosted = tuple[str, int]
"""A model and its version."""


class Job(msgspec.Struct, frozen=True):
    """Something the agent will do at `due_ms`; `memory` in bytes, of a load; `reason` of a failure."""

    due_ms: int
    verb: Verb
    model: str = ""
    version: int = 0
    memory: int = 0
    reason: str = ""


class Agent(msgspec.Struct, frozen=True):
    """One server replica: what it offers, what it holds (with each model's memory in bytes) and what it is doing.

    `tried`: the models that it was request to load.
    """

    server: str
    replica: int
    capabilities: tuple[str, ...]
    memory: int
    loaded: Mapping[Hosted, int] = {}
    jobs: tuple[Job, ...] = ()
    tried: frozenset[str] = frozenset()
    gone: bool = False

    def connected(self) -> Event:
        """Return the event with which it joins, with the models it still holds."""
        return Event(
            "ServerReplicaConnected",
            {
                **self._place(),
                "capabilities": list(self.capabilities),
                "memory": self.memory,
                "available_memory": self.available(),
                "loaded_models": [{"model": model, "version": version} for model, version in sorted(self.loaded)],
                "inference_host": f"{self.server}-{self.replica}.example",
                "http_port": 8080,
                "grpc_port": 8081,
            },
        )

    def draining(self) -> Event:
        """Return the event with which it asks to be emptied."""
        return Event("ServerReplicaDraining", self._place())

    def disconnected(self, reason: str) -> Event:
        """Return the event that announces its departure."""
        return Event("ServerReplicaDisconnected", {**self._place(), "reason": reason})

    def available(self) -> int:
        """Return the memory that is free, in bytes."""
        return max(0, self.memory - sum(self.loaded.values()))

    def hear(self, notice: Notice, now_ms: int, random: Random) -> Self:
        """Schedule jobs for the requests of an announcement to this agent."""
        if notice.kind == "model":
            jobs = self._model_jobs(notice, now_ms, random)
        elif notice.kind == "server" and notice.name == self.server:
            jobs = self._server_jobs(notice, now_ms, random)
        else:
            return self
        tried = self.tried | {job.model for job in jobs if job.verb == "start_load"}
        return msgspec.structs.replace(self, jobs=self.jobs + tuple(jobs), tried=tried)

    def act(self, now_ms: int) -> tuple["Agent", list[Event]]:
        """Do what is due, in the order it is due; return the agent afterwards and what it reports."""
        due = sorted((job for job in self.jobs if job.due_ms <= now_ms), key=lambda job: job.due_ms)
        agent: Agent = msgspec.structs.replace(self, jobs=tuple(job for job in self.jobs if job.due_ms > now_ms))
        events: list[Event] = []
        for job in due:
            agent, event = _do(agent, job)
            events.append(event)
        return agent, events

    def _model_jobs(self, notice: Notice, now_ms: int, random: Random) -> list[Job]:
        jobs: list[Job] = []
        for request in notice.of_type("ReplicaLoadRequested", "ReplicaUnloadRequested"):
            if (request["server"], request["replica"]) != (self.server, self.replica):
                continue
            if request["type"] == "ReplicaLoadRequested":
                failure = self._failure(notice, request["version"], random)
                jobs += _load(notice, request["version"], failure, now_ms, random)
            else:
                jobs += _unload(notice.name, request["version"], now_ms, random)
        return jobs

    def _server_jobs(self, notice: Notice, now_ms: int, random: Random) -> list[Job]:
        jobs: list[Job] = []
        for request in notice.of_type("OrphanUnloadRequested", "ServerReplicaDrained"):
            if request["replica"] != self.replica:
                continue
            if request["type"] == "ServerReplicaDrained":
                jobs.append(Job(now_ms + random.randint(*UNLOAD_MS), "leave"))
            else:
                done_ms = now_ms + random.randint(*UNLOAD_MS)
                jobs.append(Job(done_ms, "end_unload", request["model"], request["version"]))
        return jobs

    def _failure(self, notice: Notice, version: int, random: Random) -> str:
        """Return the reason for which a load will fail, "" if it will succeed."""
        build = _uri(notice, version).rpartition("/")[2]
        if build == BROKEN:
            return BROKEN_REASON
        by_chance = random.random() < LOAD_FAILS_RATIO
        return CHANCE_REASON if by_chance or (build == FLAKY and notice.name not in self.tried) else ""

    def _place(self) -> dict[str, Any]:
        return {"server": self.server, "replica": self.replica}


def _do(agent: Agent, job: Job) -> tuple[Agent, Event]:
    hosted = (job.model, job.version)
    loaded = {other: memory for other, memory in agent.loaded.items() if other != hosted or job.verb != "end_unload"}
    if job.verb == "end_load":
        loaded[hosted] = job.memory
    agent = msgspec.structs.replace(agent, loaded=loaded, gone=agent.gone or job.verb == "leave")
    return agent, _report(agent, job)


def _report(agent: Agent, job: Job) -> Event:
    target = {"model": job.model, "version": job.version, "server": agent.server, "replica": agent.replica}
    match job.verb:
        case "start_load":
            return Event("ModelReplicaLoading", target)
        case "end_load":
            return Event("ModelReplicaLoaded", {**target, "available_memory": agent.available()})
        case "fail_load":
            return Event("ModelReplicaLoadFailed", {**target, "reason": job.reason})
        case "start_unload":
            return Event("ModelReplicaUnloading", target)
        case "end_unload":
            return Event("ModelReplicaUnloaded", {**target, "available_memory": agent.available()})
        case "leave":
            return agent.disconnected("drained")


def _load(notice: Notice, version: int, failure: str, now_ms: int, random: Random) -> list[Job]:
    started_ms = now_ms + random.randint(*START_MS)
    ended_ms = started_ms + random.randint(*LOAD_MS)
    verb: Verb = "fail_load" if failure else "end_load"
    return [
        Job(started_ms, "start_load", notice.name, version),
        Job(ended_ms, verb, notice.name, version, _required(notice, version), failure),
    ]


def _unload(model: str, version: int, now_ms: int, random: Random) -> list[Job]:
    started_ms = now_ms + random.randint(*START_MS)
    ended_ms = started_ms + random.randint(*UNLOAD_MS)
    return [Job(started_ms, "start_unload", model, version), Job(ended_ms, "end_unload", model, version)]


def _required(notice: Notice, version: int) -> int:
    """Return the memory that the version needs, in bytes; 0 when the announcement does not show it."""
    spec = _spec(notice, version)
    return int(spec["memory"] * spec["instances"]) if spec else 0


def _uri(notice: Notice, version: int) -> str:
    """Return where the version's build is, "" when the announcement does not show it."""
    return str(_spec(notice, version).get("uri", ""))


def _spec(notice: Notice, version: int) -> Mapping[str, Any]:
    shown: Iterable[Mapping[str, Any]] = (notice.after or {}).get("versions", ())
    specs: Iterator[Mapping[str, Any]] = (one["spec"] for one in shown if one["version"] == version)
    return next(specs, {})

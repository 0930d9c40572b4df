"""A seeded random world that makes events out of the state it is in: mostly plausible, often late, doubled or wrong."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from tests.reference.hostile import blind_report, broken
from tests.reference.requests import Event, Requests
from tests.reference.simulation import Trace, step
from tests.reference.words import Json, empty_state


class World:
    """Makes `lines` of JSON, which follow from `seed` and the reference's own states alone."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.requests = Requests(self.random)
        self.states = [empty_state()]
        self.rejected: list[Json] = []
        self.now_ms = self.random.choice([0, 1000, 1_000_000])
        self.lines: list[str] = []
        self.planned: list[Event] = self.requests.warm_up() if self.random.random() < 0.7 else []
        self.hostility = self.random.choice([0.0, 0.05, 0.2, 0.5])
        self.breakage = 0.7 if self.random.random() < 0.1 else self.hostility / 6
        self.diligence = self.random.choice([0.3, 0.6, 0.8, 0.9])
        self.failing = self.random.choice([0.0, 0.1, 0.25, 0.5])

    @property
    def state(self) -> Json:
        return self.states[-1]

    def live(self, events: int) -> Trace:
        """Make so many lines more; return what the reference does on all of them."""
        for _ in range(events):
            line = self.line()
            after, refusal = step(self.state, line)
            self.rejected += [{"index": len(self.lines), **refusal}] if refusal else []
            self.states.append(after)
            self.lines.append(line)
        return self.states, self.rejected

    def line(self) -> str:
        if self.lines and self.random.random() < self.hostility / 4:
            return self.random.choice(self.lines[-15:])
        kind, data = self.event()
        if self.random.random() < self.breakage:
            return broken(self.random, kind, self.pass_time(), data)
        return json.dumps({"type": kind, "at_ms": self.pass_time(), "data": data})

    def pass_time(self) -> int:
        steps = [0, 1, 10, 10, 500, 500, 1000, 1000, 5000, 30_000, 60_000]
        if self.random.random() < self.hostility / 3:
            return max(0, self.now_ms - self.random.choice([1, 500, 10_000, 100_000]))
        self.now_ms += self.random.choice(steps) if self.random.random() < 0.98 else 86_400_000
        return self.now_ms

    def event(self) -> Event:
        if self.planned:
            return self.planned.pop(0)
        if self.random.random() < self.hostility / 2:
            targets = [{**pair, "server": at, "replica": int(index)} for at, index, pair, _ in entries(self.state)]
            return blind_report(self.random, self.requests, targets)
        reactions = list(self.reactions())
        if reactions and self.random.random() < self.diligence:
            return self.random.choice(reactions)()
        return self.requests.any(self.state)

    def reactions(self) -> Iterator[Callable[[], Event]]:
        """Yield what agents, routers, engines and gateways would do now."""
        yield from self.agents()
        yield from self.routers()
        yield from self.responders()
        if self.state["failures"] and self.random.random() < 0.1:
            yield lambda: ("ClockTicked", {})

    def agents(self) -> Iterator[Callable[[], Event]]:
        for server, index, pair, state in entries(self.state):
            if state in {"LoadRequested", "Loading", "UnloadRequested", "Unloading"}:
                yield partial(self.agent, server, index, pair, state)
        for name, server_record in self.state["servers"].items():
            for index, replica in server_record["replicas"].items():
                for pair in replica["orphans"]:
                    yield partial(self.agent, name, index, pair, "Unloading")

    def agent(self, server: str, index: str, pair: Json, state: str) -> Event:
        unloads = state in {"UnloadRequested", "Unloading"}
        word = "Unload" if unloads else "Load"
        where = {**pair, "server": server, "replica": int(index)}
        if state.endswith("Requested") and self.random.random() < 0.3:
            return f"ModelReplica{word}ing", where
        if self.random.random() < self.failing:
            return f"ModelReplica{word}Failed", {**where, "reason": self.requests.reason()}
        return f"ModelReplica{word}ed", {**where, "available_memory": self.memory_left(server, index, pair, unloads)}

    def memory_left(self, server: str, index: str, pair: Json, unloads: bool) -> int:  # noqa: FBT001 - a fact of the report
        replica = self.state["servers"].get(server, {"replicas": {}})["replicas"].get(index)
        if replica is None or self.random.random() < self.hostility / 3:
            return self.random.choice([0, 100, 250, 1000])
        versions = self.state["models"].get(pair["model"], {"versions": []})["versions"]
        spec = next(
            (each["spec"] for each in versions if each["version"] == pair["version"]), {"memory": 0, "instances": 1}
        )
        size = spec["memory"] * spec["instances"]
        return int(max(0, replica["available_memory"] + (size if unloads else -size)))

    def routers(self) -> Iterator[Callable[[], Event]]:
        for table, kind in (("models", "model"), ("experiments", "experiment")):
            for name, thing in self.state[table].items():
                if thing["route_applied_revision"] != thing["route_revision"]:
                    yield partial(self.router, kind, name, thing["route_revision"])

    def router(self, kind: str, name: str, revision: int) -> Event:
        report = {kind: name, "route_revision": revision}
        if self.random.random() < self.failing:
            return f"{kind.capitalize()}RouteFailed", {**report, "reason": self.requests.reason()}
        return f"{kind.capitalize()}RouteApplied", report

    def responders(self) -> Iterator[Callable[[], Event]]:
        axes = {"dataflow_engine": "engine", "pipeline_gateway": "gateway"}
        for name, pipeline in self.state["pipelines"].items():
            for version in pipeline["versions"]:
                for role, axis in axes.items():
                    for responder, answer in version[axis]["answers"].items():
                        report = {"role": role, "responder": responder, "pipeline": name}
                        report |= {"version": version["version"], "sequence": version[axis]["sequence"]}
                        if answer["state"] == "pending":
                            yield partial(self.answer, report)

    def answer(self, report: Json) -> Event:
        success = self.random.random() >= self.failing
        reason = "" if success and self.random.random() < 0.9 else self.requests.reason()
        return "PipelineReported", {**report, "success": success, "reason": reason}


def entries(state: Json) -> Iterator[tuple[str, str, Json, str]]:
    """Yield (server, index, {model, version}, state) of every replica entry."""
    for name, model in state["models"].items():
        for version in model["versions"]:
            for index, entry in version["replicas"].items():
                pair = {"model": name, "version": version["version"]}
                yield version["server"], index, pair, entry["state"]

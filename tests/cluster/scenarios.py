"""Event sequences that go deep: few names, so they collide; mostly what agents would answer, sometimes nonsense."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from processor.cluster.event_parsing import InvalidEvent, parse_event
from processor.cluster.events import Event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State

SERVERS = ("s1", "s2", "s3")
MODELS = ("ant", "bee", "cat", "dog")
PIPELINES = ("flow", "maze")
EXPERIMENTS = ("duel", "trial")
ROLES = {"dataflow_engine": ("e0", "e1"), "pipeline_gateway": ("g0", "g1")}
WORDS = ("sklearn", "xgb")
Data = dict[str, Any]
Told = tuple[str, Data]


class Scenario:
    """A world that answers a state; the same seed tells the same story."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.at_ms = 1_000
        self.calm = seed % 3 != 0
        self.rules = (self._wild, self._busy_servers, self._busy_flows)[seed % 3]()
        self.opening = [(server, replica) for server in SERVERS for replica in range(3)] if self.calm else []

    def event(self, state: State) -> Event:
        """Return the next well-formed event."""
        while True:
            self.at_ms = max(0, self.at_ms + self.random.choice((0, 1, 7, 500, 500, 30_000, 60_000, -400)))
            if self._likely(0.01):
                self.at_ms += 86_400_000
            name, data = self._told(state)
            try:
                return parse_event(name, self.at_ms, data)
            except InvalidEvent:
                continue

    def _told(self, state: State) -> Told:
        if self.opening:
            server, replica = self.opening.pop()
            room = {"memory": self._one(100, 150, 200, 400), "capabilities": ["sklearn", "xgb"]}
            return "ServerReplicaConnected", {"server": server, "replica": replica, **room}
        answers = list(self._answers(state))
        if answers and self._likely(0.75 if self.calm else 0.6):
            return self.random.choice(answers)
        return self.random.choice(self.rules)(state)

    def _wild(self) -> tuple[Callable[[State], Told], ...]:
        often = (self._load, self._connect, self._connect, self._load)
        seldom = (self._declare, self._remove, self._disconnect, self._drain, self._unload, self._scale, self._clock)
        others = (self._policy, self._pipeline, self._unpipeline, self._start, self._stop, self._responder)
        return (*often, *seldom, self._clock, *others, self._pipeline, self._responder, self._report, self._route)

    def _busy_servers(self) -> tuple[Callable[[State], Told], ...]:
        often = (self._load, self._load, self._load, self._scale, self._scale, self._connect) * 3
        return (*often, self._disconnect, self._drain, self._unload, self._declare, self._clock, self._policy)

    def _busy_flows(self) -> tuple[Callable[[State], Told], ...]:
        often = (self._load, self._connect, self._pipeline, self._start, self._responder) * 2
        return (*often, self._unpipeline, self._stop, self._unload, self._disconnect, self._clock)

    def _one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def _likely(self, share: float) -> bool:
        return self.random.random() < share

    def _answers(self, state: State) -> Iterator[Told]:
        for name in sorted(state.models):
            model = state.models[name]
            if model.route_revision != model.route_applied_revision:
                yield self._routed("Model", {"model": name, "route_revision": model.route_revision})
            for version in model.versions:
                for replica in version.replicas:
                    where = {"model": name, "version": version.version, "server": version.server}
                    yield from self._obeyed({**where, "replica": replica.index}, replica.state)
        for name in sorted(state.experiments):
            experiment = state.experiments[name]
            if experiment.route_revision != experiment.route_applied_revision:
                yield self._routed("Experiment", {"experiment": name, "route_revision": experiment.route_revision})
        yield from self._answered(state)
        for name in sorted(state.servers):
            for record in state.servers[name].replicas:
                for orphan in record.orphans:
                    where = {"model": orphan.model, "version": orphan.version, "server": name}
                    yield "ModelReplicaUnloaded", {**where, "replica": record.index, "available_memory": 200}

    def _routed(self, kind: str, data: Data) -> Told:
        if self._likely(0.75):
            return f"{kind}RouteApplied", data
        return f"{kind}RouteFailed", {**data, "reason": self._one("", "no upstream", "busy")}

    def _obeyed(self, where: Data, state: str) -> Iterator[Told]:
        if state in {"LoadRequested", "Loading"}:
            verb = self._one("Loading", "Loaded", "Loaded", "LoadFailed")
        elif state in {"UnloadRequested", "Unloading"}:
            verb = self._one("Unloading", "Unloaded", "Unloaded", "UnloadFailed")
        else:
            return
        yield f"ModelReplica{verb}", self._reported(where, verb)

    def _reported(self, where: Data, verb: str) -> Data:
        if verb in {"Loaded", "Unloaded"}:
            return {**where, "available_memory": self._one(0, 50, 100, 120, 200)}
        return {**where, "reason": self._one("a", "b", "")} if verb.endswith("Failed") else where

    def _answered(self, state: State) -> Iterator[Told]:
        for name in sorted(state.pipelines):
            for version in state.pipelines[name].versions:
                for role, axis in (("dataflow_engine", version.engine), ("pipeline_gateway", version.gateway)):
                    for answer in axis.answers:
                        if answer.state == "pending":
                            request = {"pipeline": name, "version": version.version, "sequence": axis.sequence}
                            said = {"success": self._likely(0.7), "reason": self._one("", "x", "y")}
                            yield "PipelineReported", {**request, **said, "role": role, "responder": answer.responder}

    def _load(self, _: State) -> Told:
        spec = {
            "uri": self._one("one", "one", "one", "two"),
            "requirements": ["sklearn"] if self.calm else self._one([], ["sklearn"], ["xgb", " sklearn "]),
            "memory": 60 if self.calm else self._one(0, 10, 60, 100),
            "instances": 1 if self.calm else self._one(1, 1, 2),
            "server": "" if self.calm else self._one("", "", "", "s1", "s9"),
            "parameters": {} if self.calm else self._one({}, {"b": "1", "a": "2"}),
        }
        deployment = {
            "replicas": self._one(0, 1, 1, 2, 3),
            "min_replicas": self._one(0, 0, 1, 2),
            "max_replicas": self._one(0, 0, 3),
        }
        model = {"model": self._one(*MODELS), "generation": self._generation()}
        return "ModelLoadRequested", {**model, "spec": spec, "deployment": deployment}

    def _generation(self) -> int:
        return int(self._one(0, 0, 1, 2, 3))

    def _unload(self, _: State) -> Told:
        return "ModelUnloadRequested", {"model": self._one(*MODELS), "generation": self._generation()}

    def _scale(self, state: State) -> Told:
        name = self._one(*MODELS)
        model = state.models.get(name)
        latest = model.versions[-1].version if model is not None else 1
        version = max(1, latest - self._one(0, 0, 0, 1))
        return "ModelScaleRequested", {"model": name, "version": version, "direction": self._one("up", "down")}

    def _connect(self, state: State) -> Told:
        loaded = [{"model": name, "version": self._one(1, 1, 2, 3)} for name in (*MODELS, "ghost") if self._likely(0.3)]
        loaded += [
            {"model": name, "version": version.version}
            for name in sorted(state.models)
            for version in state.models[name].versions
            if self._likely(0.5)
        ]
        data = {
            **self._replica(),
            "capabilities": ["sklearn"] if self.calm else self._one([], ["sklearn"], ["xgb", "sklearn "]),
            "memory": self._one(100, 150, 200, 400),
            "shared": self._likely(0.9 if self.calm else 0.75),
            "loaded_models": self._one([], [], loaded),
        }
        if self._likely(0.3):
            data["available_memory"] = self._one(0, 50, 100)
        return "ServerReplicaConnected", data

    def _replica(self) -> Data:
        return {"server": self._one(*SERVERS), "replica": self._one(0, 1, 2)}

    def _disconnect(self, _: State) -> Told:
        return "ServerReplicaDisconnected", self._replica()

    def _drain(self, _: State) -> Told:
        return "ServerReplicaDraining", self._replica()

    def _declare(self, _: State) -> Told:
        data = {
            "server": self._one(*SERVERS),
            "generation": self._generation(),
            "expected_replicas": self._one(-1, 0, 1, 2, 3),
            "min_replicas": self._one(0, 1),
            "max_replicas": self._one(0, 2, 4),
            "shared": self._likely(0.67),
        }
        return "ServerDeclared", data

    def _remove(self, _: State) -> Told:
        return "ServerRemoved", {"server": self._one(*SERVERS), "generation": self._generation()}

    def _clock(self, _: State) -> Told:
        return "ClockTicked", {}

    def _policy(self, _: State) -> Told:
        data = {
            "retry_interval_ms": self._one(0, 1_000, 60_000),
            "retry_limit": self._one(0, 1, 10),
            "tombstone_ttl_ms": self._one(0, 1_000, 86_400_000),
            "scale_down_stabilisation_ms": self._one(0, 60_000),
            "model_autoscaling": self._likely(0.67),
            "server_autoscaling": self._likely(0.67),
            "pack_servers": self._likely(0.5),
        }
        return "PolicyChanged", data

    def _pipeline(self, _: State) -> Told:
        pipeline = self._one(*PIPELINES)
        names = self.random.sample(MODELS, self._one(0, 1, 2))
        references: tuple[list[str], ...] = ([], [pipeline], [f"{pipeline}.inputs.x"], ["ant.outputs.y"], ["bee"])
        steps = [{"name": name, "inputs": self._one(*references), "batch_size": self._one(0, 0, 8)} for name in names]
        data = {"pipeline": pipeline, "generation": self._generation(), "steps": steps}
        return "PipelineLoadRequested", {**data, "allow_cycles": self._likely(0.67)}

    def _unpipeline(self, _: State) -> Told:
        return "PipelineUnloadRequested", {"pipeline": self._one(*PIPELINES), "generation": self._generation()}

    def _start(self, _: State) -> Told:
        kind = self._one("model", "model", "pipeline")
        names = self.random.sample(PIPELINES if kind == "pipeline" else MODELS, self._one(0, 1, 2))
        data = {
            "experiment": self._one(*EXPERIMENTS),
            "generation": self._generation(),
            "kind": kind,
            "default": self._one("", *names),
            "candidates": [{"name": name, "weight": self._one(1, 50)} for name in names],
            "mirror": self._one(None, None, {"name": self._one(*MODELS), "percent": 10}),
        }
        return "ExperimentStartRequested", data

    def _stop(self, _: State) -> Told:
        return "ExperimentStopRequested", {"experiment": self._one(*EXPERIMENTS), "generation": self._generation()}

    def _responder(self, _: State) -> Told:
        role = self._one(*sorted(ROLES))
        verb = self._one("Connected", "Connected", "Disconnected")
        return f"Responder{verb}", {"role": role, "responder": self._one(*ROLES[role])}

    def _report(self, _: State) -> Told:
        verb = self._one("Loading", "Loaded", "LoadFailed", "Unloading", "Unloaded", "UnloadFailed")
        where = {**self._replica(), "model": self._one(*MODELS), "version": self._one(1, 2, 3)}
        return f"ModelReplica{verb}", self._reported(where, verb)

    def _route(self, _: State) -> Told:
        revision = self._one(0, 1, 2, 3)
        if self._likely(0.5):
            return self._routed("Model", {"model": self._one(*MODELS), "route_revision": revision})
        return self._routed("Experiment", {"experiment": self._one(*EXPERIMENTS), "route_revision": revision})


def told(seed: int, length: int, start: State | None = None) -> Iterator[tuple[State, Event, State | Rejected]]:
    """Yield the state before, the event, and what became of it."""
    machine, scenario = ClusterMachine(), Scenario(seed)
    state = start if start is not None else machine.empty()
    for _ in range(length):
        event = scenario.event(state)
        outcome = machine.apply(state, event)
        yield state, event, outcome
        if not isinstance(outcome, Rejected):
            state = outcome


def events_of(seed: int, length: int) -> list[Event]:
    """Return the events of a story."""
    return [event for _, event, _ in told(seed, length)]


def line_of(event: Event) -> str:
    """Return the line of a simulation input that says this event."""
    data = event.model_dump(mode="json", exclude={"at_ms"})
    if data.get("available_memory", 0) is None:
        del data["available_memory"]
    return json.dumps({"type": type(event).__name__, "at_ms": event.at_ms, "data": data})

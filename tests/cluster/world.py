"""A world in which a test says what happens, a second apart unless it says when, and looks at what became of it."""

from typing import Any

from processor.cluster.document import entity_to_json, to_document
from processor.cluster.event_parsing import parse_event
from processor.cluster.explain import explain, to_json
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State

Json = dict[str, Any]


class World:
    """A state and the events that led to it."""

    def __init__(self) -> None:
        self.machine = ClusterMachine()
        self.state = self.machine.empty()
        self.at_ms = 0

    def tell(self, name: str, *, at_ms: int | None = None, **data: Any) -> str:
        """Apply an event. Return `applied`, `unchanged` or the code of the rejection."""
        self.at_ms = self.at_ms + 1_000 if at_ms is None else at_ms
        outcome = self.machine.apply(self.state, parse_event(name, self.at_ms, data))
        if isinstance(outcome, Rejected):
            return outcome.code
        word = "unchanged" if outcome is self.state else "applied"
        self.state = outcome
        return word

    def connect(self, server: str = "s1", replica: int = 0, memory: int = 200, **data: Any) -> str:
        return self.tell("ServerReplicaConnected", server=server, replica=replica, memory=memory, **data)

    def disconnect(self, server: str = "s1", replica: int = 0) -> str:
        return self.tell("ServerReplicaDisconnected", server=server, replica=replica)

    def drain(self, server: str = "s1", replica: int = 0) -> str:
        return self.tell("ServerReplicaDraining", server=server, replica=replica)

    def declare(self, server: str = "s1", **data: Any) -> str:
        return self.tell("ServerDeclared", server=server, **data)

    def load(
        self, model: str = "iris", *, uri: str = "one", memory: int = 100, generation: int = 0, **data: Any
    ) -> str:
        wanted = {key: data.pop(key) for key in ("replicas", "min_replicas", "max_replicas") if key in data}
        spec = {"uri": uri, "memory": memory, **data}
        return self.tell("ModelLoadRequested", model=model, generation=generation, spec=spec, deployment=wanted)

    def unload(self, model: str = "iris", generation: int = 0) -> str:
        return self.tell("ModelUnloadRequested", model=model, generation=generation)

    def report(self, verb: str, model: str = "iris", replica: int = 0, **data: Any) -> str:
        latest = self.state.models[model].versions[-1]
        where = {"model": model, "version": latest.version, "server": latest.server, "replica": replica, **data}
        return self.tell(f"ModelReplica{verb}", **where)

    def loaded(self, model: str = "iris", replica: int = 0, *, available_memory: int = 100, **data: Any) -> str:
        return self.report("Loaded", model, replica, available_memory=available_memory, **data)

    def unloaded(self, model: str = "iris", replica: int = 0, *, available_memory: int = 200, **data: Any) -> str:
        return self.report("Unloaded", model, replica, available_memory=available_memory, **data)

    def routed(self, model: str = "iris") -> str:
        revision = self.state.models[model].route_revision
        return self.tell("ModelRouteApplied", model=model, route_revision=revision)

    def unroutable(self, model: str = "iris", reason: str = "no upstream") -> str:
        revision = self.state.models[model].route_revision
        return self.tell("ModelRouteFailed", model=model, route_revision=revision, reason=reason)

    def serve(self, model: str = "iris", **data: Any) -> None:
        """Load a model and have all its replicas available."""
        self.load(model, **data)
        for replica in self.state.models[model].versions[-1].replicas:
            self.loaded(model, replica.index)
        self.routed(model)

    def tick(self, at_ms: int) -> str:
        return self.tell("ClockTicked", at_ms=at_ms)

    def policy(self, **changed: Any) -> str:
        return self.tell("PolicyChanged", **{**entity_to_json("policy", self.state.policy), **changed})

    def responders(self, engines: int = 1, gateways: int = 1) -> None:
        for number in range(engines):
            self.tell("ResponderConnected", role="dataflow_engine", responder=f"e{number}")
        for number in range(gateways):
            self.tell("ResponderConnected", role="pipeline_gateway", responder=f"g{number}")

    def answer(self, role: str, *, success: bool = True, reason: str = "", number: int = 0) -> str:
        """Have a responder of the role answer about the latest version of pipeline `flow`."""
        asked = self.state.pipelines["flow"].versions[-1]
        axis, letter = (asked.engine, "e") if role == "dataflow_engine" else (asked.gateway, "g")
        return self.tell(
            "PipelineReported",
            role=role,
            responder=f"{letter}{number}",
            pipeline="flow",
            version=asked.version,
            sequence=axis.sequence,
            success=success,
            reason=reason,
        )

    def flow(self, *names: str, generation: int = 0, **step: Any) -> str:
        steps = [{"name": name, **step} for name in names or ("ant",)]
        return self.tell("PipelineLoadRequested", pipeline="flow", generation=generation, steps=steps)

    def ready(self) -> None:
        """Have both axes of the latest version of pipeline `flow` succeed."""
        self.answer("dataflow_engine")
        self.answer("pipeline_gateway")

    def start(self, experiment: str = "duel", **data: Any) -> str:
        data.setdefault("candidates", [{"name": "ant", "weight": 50}])
        return self.tell("ExperimentStartRequested", experiment=experiment, **data)

    @property
    def document(self) -> Json:
        return to_document(self.state)

    def model(self, name: str = "iris") -> Json:
        return entity_to_json("model", self.state.models[name])

    def latest(self, name: str = "iris") -> Json:
        version: Json = self.model(name)["versions"][-1]
        return version

    def states(self, name: str = "iris", place: int = -1) -> dict[str, str]:
        """Return index → state of one version of a model."""
        version = self.model(name)["versions"][place]
        return {index: replica["state"] for index, replica in version["replicas"].items()}

    def server(self, name: str = "s1") -> Json:
        return entity_to_json("server", self.state.servers[name])

    def explained(self, kind: str, name: str) -> Json:
        """Return what `explain` says of a thing that exists, as JSON."""
        explanation = explain(self.state, kind, name)
        assert explanation is not None
        return to_json(explanation)

    def transitions(self, before: State) -> list[str]:
        """Return the types of what has happened since."""
        changes = self.machine.diff(before, self.state)
        return [transition.type for change in changes for transition in change.transitions]

"""The tables of the state while one event is reduced: what was put lies over the state before the event.

A rule never changes the state that it got. It puts whole entities into overlays, one a table: name → entity, or None
for one that was removed. Reading looks into the overlay first, then into the state. Nothing is copied, so an event
costs what it touches, not what the cluster holds.

`folded` applies the overlays to the persistent tables, and compares: an entity that was put but equals what is stored
is dropped, so that unchanged entities keep their identity and an event without effect gives back the very same tables.
The engine relies on that twice: the same object means "unchanged, announce nothing", and `diff` follows the chain
`touched` (table, name, before, after, previous link) instead of comparing whole tables.
"""

from collections.abc import Mapping
from typing import Any

from processor.cluster.entities import Experiment, Failure, Model, Pipeline, Policy, Responder, Server
from processor.cluster.state import State, Touched


class Overlay:
    """Reading and writing of one event's tables. `at_ms` is the time of the event."""

    def __init__(self, state: State, at_ms: int) -> None:
        self.state = state
        self.at_ms = at_ms
        self.policy: Policy = state.policy
        self.servers: dict[str, Server | None] = {}
        self.models: dict[str, Model | None] = {}
        self.pipelines: dict[str, Pipeline | None] = {}
        self.experiments: dict[str, Experiment | None] = {}
        self.responders: dict[str, Responder | None] = {}
        self.failures: dict[str, Failure | None] = {}

    def server(self, name: str) -> Server | None:
        """Return the server as it is now, None if there is none."""
        return self.servers[name] if name in self.servers else self.state.servers.get(name)

    def model(self, name: str) -> Model | None:
        """Return the model as it is now, None if there is none."""
        return self.models[name] if name in self.models else self.state.models.get(name)

    def pipeline(self, name: str) -> Pipeline | None:
        """Return the pipeline as it is now, None if there is none."""
        return self.pipelines[name] if name in self.pipelines else self.state.pipelines.get(name)

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment as it is now, None if there is none."""
        return self.experiments[name] if name in self.experiments else self.state.experiments.get(name)

    def failure(self, key: str) -> Failure | None:
        """Return the failure entry `<kind>/<name>` as it is now, None if there is none."""
        return self.failures[key] if key in self.failures else self.state.failures.get(key)

    def folded(self) -> tuple[Any, Any, Any, Any, Any, Any, Touched]:
        """Return servers, responders, models, pipelines, experiments, failures, and the chain of what was touched."""
        state, touched = self.state, self.state.touched
        models, touched = _folded("models", state.models, touched, self.models)
        servers, failures, responders = state.servers, state.failures, state.responders
        pipelines, experiments = state.pipelines, state.experiments
        if self.servers:
            servers, touched = _folded("servers", servers, touched, self.servers)
        if self.failures:
            failures, touched = _folded("failures", failures, touched, self.failures)
        if self.pipelines:
            pipelines, touched = _folded("pipelines", pipelines, touched, self.pipelines)
        if self.experiments:
            experiments, touched = _folded("experiments", experiments, touched, self.experiments)
        if self.responders:
            responders, touched = _folded("responders", responders, touched, self.responders)
        return servers, responders, models, pipelines, experiments, failures, touched


def _folded(name: str, table: Any, touched: Touched, overlay: Mapping[str, Any]) -> tuple[Any, Touched]:
    """Return the table with the overlay in it, and what was touched; the very same both if nothing differs."""
    for key, entity in overlay.items():
        old = table.get(key)
        if entity is not old and entity != old:
            touched = (name, key, old, entity, touched)
            table = table.set(key, entity) if entity is not None else table.delete(key)
    return table, touched

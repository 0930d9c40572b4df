"""The next state while one event is being reduced: what has changed so far, over the state before the event."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from immutables import Map
from msgspec.structs import replace

from processor.cluster.agenda import with_time
from processor.cluster.entities import (
    Experiment,
    Failure,
    Model,
    Pipeline,
    Policy,
    Responder,
    Route,
    Server,
    ServerReplica,
    Version,
)
from processor.cluster.headroom import EMPTY_CACHE, without_server
from processor.cluster.indexes import (
    add_blockers,
    apply_deltas,
    blockers,
    counted,
    default_of,
    demand_of,
    grouped,
    linked,
    models_of,
    splits_of,
    usage_deltas,
    waiting_of,
)
from processor.cluster.rows import find_index, with_row
from processor.cluster.state import Indexes, ServingView, State, Touched

NOTHING: Map[Any, Any] = Map()
UNSEEN: Any = object()


class Draft:
    """One event's working copy. The rules write into it; `commit` makes a state of it, or gives the old one back.

    Overlays hold what was put, None for what was removed. The rules of the event also leave word here for the steps
    that come after them: `to_place` models to place again, in this order · `capacity_grown` · `replica_connected` ·
    `emptied` servers where an entry changed to Unloaded or LoadFailed · `route_failure` model and the router's reason ·
    `experiments_replaced` names · `drain_checks` (server, index) whose `drained` may differ.
    """

    capacity_grown = False
    replica_connected = False
    route_failure: tuple[str, str] | None = None
    emptied: AbstractSet[str] = frozenset()
    experiments_replaced: AbstractSet[str] = frozenset()
    drain_checks: AbstractSet[tuple[str, int]] = frozenset()

    def __init__(self, state: State, at_ms: int) -> None:
        indexes = state.indexes
        self.state = state
        self.at_ms = at_ms
        self.policy: Policy = state.policy
        self.servers: dict[str, Server | None] = {}
        self.models: dict[str, Model | None] = {}
        self.pipelines: dict[str, Pipeline | None] = {}
        self.experiments: dict[str, Experiment | None] = {}
        self.responders: dict[str, Responder | None] = {}
        self.failures: dict[str, Failure | None] = {}
        self.serving_views: dict[str, ServingView | None] = {}
        self.server_names = indexes.server_names
        self.usage = indexes.usage
        self.demand = indexes.demand
        self.waiting = indexes.waiting
        self.role_responders = indexes.responders
        self.retries = indexes.retries
        self.tombstones = indexes.tombstones
        self.headroom = state.headroom
        self.placement_failures = state.placement_failures
        self.usage_base: dict[str, Model | None] = {}
        self.indexes_base: dict[str, Model | None] = {}
        self.unsettled: dict[str, None] = {}
        self.indexes_stale: dict[str, None] = {}
        self.usage_stale: dict[str, None] = {}
        self.to_place: dict[str, None] = {}

    def server(self, name: str) -> Server | None:
        """Return the server as it is now."""
        return self.servers[name] if name in self.servers else self.state.servers.get(name)

    def model(self, name: str) -> Model | None:
        """Return the model as it is now."""
        return self.models[name] if name in self.models else self.state.models.get(name)

    def pipeline(self, name: str) -> Pipeline | None:
        """Return the pipeline as it is now."""
        return self.pipelines[name] if name in self.pipelines else self.state.pipelines.get(name)

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment as it is now."""
        return self.experiments[name] if name in self.experiments else self.state.experiments.get(name)

    def failure(self, key: str) -> Failure | None:
        """Return the failure entry `<kind>/<name>` as it is now."""
        return self.failures[key] if key in self.failures else self.state.failures.get(key)

    def serving_view(self, name: str) -> ServingView | None:
        """Return what others see of a model now."""
        return self.serving_views[name] if name in self.serving_views else self.state.indexes.serving_views.get(name)

    def announced(self, name: str) -> tuple[Route, ...]:
        """Return the routes of a model as they were before the event."""
        view = self.state.indexes.serving_views.get(name)
        return view.routes if view is not None else ()

    def put_server(self, server: Server) -> None:
        """Add or replace a server."""
        name = server.name
        old = self.server(name)
        if old is None:
            self._rename_servers(tuple(sorted((*self.server_names, name))))
        elif (
            old.replicas is not server.replicas
            or old.shared != server.shared
            or old.expected_replicas != server.expected_replicas
        ):
            self.headroom = without_server(self.headroom, name, self.server_names)
            if self.placement_failures and _filtered_by(old) != _filtered_by(server):
                self.placement_failures = NOTHING
        self.servers[name] = server

    def remove_server(self, name: str) -> None:
        """Take a server out."""
        self._rename_servers(tuple([other for other in self.server_names if other != name]))
        self.servers[name] = None

    def put_server_replica(self, server: Server, replica: ServerReplica) -> None:
        """Add or replace one replica of a server."""
        self.put_server(replace(server, replicas=with_row(server.replicas, replica)))

    def put_measured(self, server: Server, replica: ServerReplica, measured: ServerReplica) -> None:
        """Replace one replica by what differs from it only in available memory and orphans."""
        self.servers[server.name] = replace(server, replicas=with_row(server.replicas, measured))
        if measured.available_memory > replica.available_memory:
            self._free_more(server.name, replica.index)

    def put_model(self, model: Model) -> None:
        """Add or replace a model, and have it settled even if nothing of it differs."""
        self.models[model.name] = model
        self.unsettled[model.name] = self.indexes_stale[model.name] = self.usage_stale[model.name] = None

    def put_settled(self, model: Model) -> None:
        """Replace a model of which nothing differs that anything derived depends on: it need not be settled."""
        self.models[model.name] = model

    def remove_model(self, name: str) -> None:
        """Take a model out."""
        self.models[name] = None
        self.unsettled[name] = self.indexes_stale[name] = self.usage_stale[name] = None

    def put_latest(self, model: Model, version: Version) -> None:
        """Replace the latest version of a model."""
        if version is not model.versions[-1]:
            model = replace(model, versions=(*model.versions[:-1], version))
        self.put_model(model)

    def models_at(self, server: str, index: int) -> list[str]:
        """Return the models with an entry on this server replica, by name."""
        usage = self.usage.get(server, NOTHING).get(index)
        return sorted(usage.models) if usage is not None else []

    def sync_usage(self) -> None:
        """Bring usage up to what has been put."""
        for name in self.usage_stale:
            new, old = self.models[name], self.usage_base.get(name, UNSEEN)
            if old is UNSEEN:
                old = self.state.models.get(name)
            if new is not old:
                self.usage_base[name] = new
                self._weigh_model(name, old, new)
        self.usage_stale.clear()

    def sync_indexes(self) -> None:
        """Bring usage, demand and waiting up to what has been put."""
        if self.usage_stale:
            self.sync_usage()
        for name in self.indexes_stale:
            new, old = self.models[name], self.indexes_base.get(name, UNSEEN)
            if old is UNSEEN:
                old = self.state.models.get(name)
            if new is not old:
                self.indexes_base[name] = new
                self._index_model(name, old, new)
        self.indexes_stale.clear()

    def note_retry(self, key: str, time: int | None) -> None:
        """Have the failure `<kind>/<name>` tried again at this time, or not at all."""
        self.retries = with_time(self.retries, key, time)

    def note_tombstone(self, key: str, time: int | None) -> None:
        """Have what is deleted and finished, `<kind>/<name>`, remembered by the time of its deletion, or not at all."""
        self.tombstones = with_time(self.tombstones, key, time)

    def changes_something(self) -> bool:
        """Tell whether what has been put differs from the state before the event."""
        return self.commit() is not self.state

    def commit(self) -> State:
        """Return the next state; the very same as before if nothing differs."""
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
        if touched is state.touched and self.policy == state.policy:
            return state
        return State(
            self.policy,
            servers,
            responders,
            models,
            pipelines,
            experiments,
            failures,
            touched,
            state.origin,
            self._indexes(),
            self.headroom,
            self.placement_failures,
        )

    def _index_model(self, name: str, old: Model | None, new: Model | None) -> None:
        before, after = demand_of(old), demand_of(new)
        if before != after:
            if before is not None:
                self.demand = counted(self.demand, *before, -1)
            if after is not None:
                self.demand = counted(self.demand, *after, 1)
        waited, waits = waiting_of(old) if self.waiting else None, waiting_of(new)
        if waited != waits:
            self.waiting = grouped(self.waiting, name, waited, waits)

    def _weigh_model(self, name: str, old: Model | None, new: Model | None) -> None:
        deltas = usage_deltas(old, new)
        relieved, blocked = blockers(old), blockers(new)
        if relieved is not blocked:
            add_blockers(deltas, relieved, blocked)
            self.drain_checks = self.drain_checks | (relieved ^ blocked)
        if not deltas:
            return
        self.usage = apply_deltas(self.usage, name, deltas)
        for (server, index), delta in deltas.items():
            if delta[0] < 0:
                self._free_more(server, index)

    def _free_more(self, name: str, index: int) -> None:
        """Forget what is known of a server's room if more is free on this replica than that says."""
        lowest = self.headroom.lowest.get(name)
        server = self.server(name) if lowest is not None else None
        record = find_index(server.replicas, index) if server is not None else None
        if record is not None:
            usage = self.usage.get(name, NOTHING).get(index)
            reserved = usage.reserved if usage is not None else 0
            if record.available_memory - reserved > lowest:
                self.headroom = without_server(self.headroom, name, self.server_names)

    def _rename_servers(self, names: tuple[str, ...]) -> None:
        self.server_names, self.headroom, self.placement_failures = names, EMPTY_CACHE, NOTHING

    def _indexes(self) -> Indexes:
        old = self.state.indexes
        pipelines, parts, defaults, serving_views = (
            old.pipelines_by_model,
            old.experiments_by_candidate,
            old.defaults,
            old.serving_views,
        )
        for name, view in self.serving_views.items():
            serving_views = serving_views.set(name, view) if view is not None else serving_views.delete(name)
        for name, pipeline in self.pipelines.items():
            pipelines = linked(pipelines, name, models_of(self.state.pipelines.get(name)), models_of(pipeline))
        for name, experiment in self.experiments.items():
            known = self.state.experiments.get(name)
            parts = linked(parts, name, splits_of(known), splits_of(experiment))
            defaults = linked(defaults, name, default_of(known), default_of(experiment))
        return Indexes(
            self.server_names,
            self.usage,
            self.demand,
            self.waiting,
            serving_views,
            pipelines,
            parts,
            defaults,
            self.role_responders,
            self.retries,
            self.tombstones,
        )


def _filtered_by(server: Server) -> tuple[bool, bool, bool]:
    return bool(server.replicas), server.shared, server.expected_replicas == 0


def _folded(name: str, table: Any, touched: Touched, overlay: Mapping[str, Any]) -> tuple[Any, Touched]:
    """Return the table with the overlay in it, and what was touched; the very same both if nothing differs."""
    for key, entity in overlay.items():
        old = table.get(key)
        if entity is not old and entity != old:
            touched = (name, key, old, entity, touched)
            table = table.set(key, entity) if entity is not None else table.delete(key)
    return table, touched

"""The draft: the next state while one event is reduced, its indexes included.

The rules of an event write into a `Draft`, the steps of `generator.settle` derive from it, and `commit` makes the next
state of it. `overlay` explains the tables; this module keeps the indexes of the draft up to date.

**Indexes lag on purpose.** Putting a model only notes its name. Two calls catch up:

* `sync_usage` brings `usage` (memory reserved and entries on each server replica) up to date. Placement calls it before
  it looks for a server, because the model that was placed just before takes memory away.
* `sync_indexes` does that and brings `demand` and `waiting` up to date. Scaling and the retries of waiting models call
  it; most events need it once, at the end.

Both compare the model as it is now with the model that the index last counted (`usage_base`, `indexes_base`), not with
the model before the last put. So a model that one event puts five times is counted once, and the counts are exact
whenever the catch-up runs.

**Invariants**, and who relies on them:

* Whoever reads `usage` of models that this event has put calls `sync_usage` first; for `demand` and `waiting`
  `sync_indexes`. `models_at` is read by
  rules before they put a model.
* `state.indexes.serving_views` stay those before the event until `commit`: routes are compared with what was announced.
* Each change that can give a server more room drops what `headroom` knows of it: `put_server` (other replicas),
  `put_measured` (more memory reported), `sync_usage` (less memory reserved). Placement would otherwise skip it.
* After `commit` every index equals its recomputation from the tables (`loading.indexes_of`); the tests compare them.
* `commit` returns the state before the event, the same object, if no entity and no policy differs.
"""

from collections.abc import Set as AbstractSet
from typing import Any

from immutables import Map
from msgspec.structs import replace

from processor.cluster.agenda import with_time
from processor.cluster.entities import (
    Model,
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
    candidates_of,
    counted,
    default_of,
    demand_of,
    grouped,
    linked,
    models_of,
    usage_deltas,
    waiting_of,
)
from processor.cluster.overlay import Overlay
from processor.cluster.rows import find_index, with_row
from processor.cluster.state import Indexes, ServingView, State

NOTHING: Map[Any, Any] = Map()
"""An empty map, as the default of a look-up."""

UNSEEN: Any = object()
"""Stands for a model that no index of this draft has counted; None stands for one that does not exist."""


class Draft(Overlay):
    """One event's working copy.

    Beside the entities the rules of the event leave notes here for the steps that follow: `to_place` models to place
    again, in this order · `capacity_grown` · `replica_connected` · `emptied` servers where an entry changed to Unloaded
    or LoadFailed · `route_failure` model and the router's reason · `experiments_replaced` names · `drain_checks`
    (server, index) whose `drained` may differ · `unsettled` models to settle.
    """

    capacity_grown = False
    replica_connected = False
    route_failure: tuple[str, str] | None = None
    emptied: AbstractSet[str] = frozenset()
    experiments_replaced: AbstractSet[str] = frozenset()
    drain_checks: AbstractSet[tuple[str, int]] = frozenset()

    def __init__(self, state: State, at_ms: int) -> None:
        super().__init__(state, at_ms)
        indexes = state.indexes
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

    def serving_view(self, name: str) -> ServingView | None:
        """Return what others see of a model now, None if it does not exist."""
        return self.serving_views[name] if name in self.serving_views else self.state.indexes.serving_views.get(name)

    def announced(self, name: str) -> tuple[Route, ...]:
        """Return the routes of a model before the event, which are those last announced."""
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
        """Remove a server."""
        self._rename_servers(tuple([other for other in self.server_names if other != name]))
        self.servers[name] = None

    def put_server_replica(self, server: Server, replica: ServerReplica) -> None:
        """Add or replace one replica of a server."""
        self.put_server(replace(server, replicas=with_row(server.replicas, replica)))

    def put_measured(self, server: Server, replica: ServerReplica, measured: ServerReplica) -> None:
        """Replace one replica by one that differs only in available memory and orphans."""
        self.servers[server.name] = replace(server, replicas=with_row(server.replicas, measured))
        if measured.available_memory > replica.available_memory:
            self._forget_if_more_free(server.name, replica.index)

    def put_model(self, model: Model) -> None:
        """Add or replace a model, and settle it at the end of the event even if it does not differ."""
        self.models[model.name] = model
        self.unsettled[model.name] = self.indexes_stale[model.name] = self.usage_stale[model.name] = None

    def put_settled(self, model: Model) -> None:
        """Replace a model by one that differs in nothing that anything derived depends on; it is not settled again."""
        self.models[model.name] = model

    def remove_model(self, name: str) -> None:
        """Remove a model."""
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
        """Count what has been put since into `usage`."""
        if not self.usage_stale:
            return
        for name, old, new in self._uncounted(self.usage_stale, self.usage_base):
            self._count_usage(name, old, new)

    def sync_indexes(self) -> None:
        """Count what has been put since into `usage`, `demand` and `waiting`."""
        self.sync_usage()
        if self.indexes_stale:
            for name, old, new in self._uncounted(self.indexes_stale, self.indexes_base):
                self._count_demand(name, old, new)

    def note_retry(self, key: str, time: int | None) -> None:
        """Schedule the retry of the failure `<kind>/<name>`; None: no retry."""
        self.retries = with_time(self.retries, key, time)

    def note_tombstone(self, key: str, time: int | None) -> None:
        """Note when the entity `<kind>/<name>`, now finished, was deleted; None: it is not finished."""
        self.tombstones = with_time(self.tombstones, key, time)

    def changes_something(self) -> bool:
        """Tell whether what has been put differs from the state before the event."""
        return self.commit() is not self.state

    def commit(self) -> State:
        """Return the next state; the very same object as before if nothing differs."""
        state = self.state
        servers, responders, models, pipelines, experiments, failures, touched = self.folded()
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

    def _uncounted(
        self, stale: dict[str, None], counted_as: dict[str, Model | None]
    ) -> list[tuple[str, Model | None, Model | None]]:
        """Return name, the model as an index counts it and as it is now, of those that differ; now they are counted."""
        found = []
        for name in stale:
            new, old = self.models[name], counted_as.get(name, UNSEEN)
            if old is UNSEEN:
                old = self.state.models.get(name)
            if new is not old:
                counted_as[name] = new
                found.append((name, old, new))
        stale.clear()
        return found

    def _count_demand(self, name: str, old: Model | None, new: Model | None) -> None:
        before, after = demand_of(old), demand_of(new)
        if before != after:
            if before is not None:
                self.demand = counted(self.demand, *before, -1)
            if after is not None:
                self.demand = counted(self.demand, *after, 1)
        waited, waits = waiting_of(old) if self.waiting else None, waiting_of(new)
        if waited != waits:
            self.waiting = grouped(self.waiting, name, waited, waits)

    def _count_usage(self, name: str, old: Model | None, new: Model | None) -> None:
        deltas = usage_deltas(old, new)
        released, blocked = blockers(old), blockers(new)
        if released is not blocked:
            add_blockers(deltas, released, blocked)
            self.drain_checks = self.drain_checks | (released ^ blocked)
        if not deltas:
            return
        self.usage = apply_deltas(self.usage, name, deltas)
        for (server, index), delta in deltas.items():
            if delta[0] < 0:
                self._forget_if_more_free(server, index)

    def _forget_if_more_free(self, name: str, index: int) -> None:
        """Drop the bounds of a server if more is free on this replica than they allow for."""
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
        serving_views, pipelines = old.serving_views, old.pipelines_by_model
        candidates, defaults = old.experiments_by_candidate, old.defaults
        for name, view in self.serving_views.items():
            serving_views = serving_views.set(name, view) if view is not None else serving_views.delete(name)
        for name, pipeline in self.pipelines.items():
            pipelines = linked(pipelines, name, models_of(self.state.pipelines.get(name)), models_of(pipeline))
        for name, experiment in self.experiments.items():
            known = self.state.experiments.get(name)
            candidates = linked(candidates, name, candidates_of(known), candidates_of(experiment))
            defaults = linked(defaults, name, default_of(known), default_of(experiment))
        return Indexes(
            self.server_names,
            self.usage,
            self.demand,
            self.waiting,
            serving_views,
            pipelines,
            candidates,
            defaults,
            self.role_responders,
            self.retries,
            self.tombstones,
        )


def _filtered_by(server: Server) -> tuple[bool, bool, bool]:
    return bool(server.replicas), server.shared, server.expected_replicas == 0

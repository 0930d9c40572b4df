"""The state generator: a pure function from a state and an event to the next state.

`apply` runs the event's own rule (one function a type, in `reducers`), then `settle` derives everything that follows.
The order of the steps is part of the rules; each step sees the results of those before it:

1. *Place* the models that the rule asks for (`placement`). Placing takes memory, so it comes before the retries.
2. *Retry* waiting models if capacity may have grown (`waiting`).
3. *Settle models*: retire versions, statuses, routes, serving (`model_settlement`). Entries are final after this.
4. *Settle servers*: `drained`, removal of empty undeclared servers, requests for fewer replicas. Needs the usage.
5. *Settle pipelines*: those that were touched or use a model whose serving changed (`pipeline_settlement`).
6. *Settle experiments*: likewise, over models and pipelines (`experiment_settlement`).
7. *Settle failures* of everything touched: record, replace or end them, and schedule retries (`failures`).

The dependencies point one way, model → pipeline → experiment, so one pass reaches a fixed point. Names are visited in
ascending order: the result depends on no hash seed and no order of insertion. The rules run inside an engine that may
run them again (conflicts, take-over, replay), so nothing here does I/O, reads a clock or draws a random number.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from processor.cluster import events
from processor.cluster.agenda import earliest
from processor.cluster.draft import Draft
from processor.cluster.experiment_settlement import settle_experiment
from processor.cluster.failures import settle_failure
from processor.cluster.indexes import finished_ms
from processor.cluster.model_settlement import settle_model
from processor.cluster.pipeline_settlement import settle_pipeline
from processor.cluster.placement import place
from processor.cluster.reducers import clock, experiments, models, pipelines, policy, reports, responders, servers
from processor.cluster.rejection import Rejected
from processor.cluster.rows import find_index
from processor.cluster.scaling import ask_for_fewer
from processor.cluster.state import State
from processor.cluster.waiting import retry_waiting

RULES: Final[Mapping[type[events.Event], Callable[[Draft, Any], Rejected | None]]] = MappingProxyType(
    {
        events.ServerDeclared: servers.server_declared,
        events.ServerRemoved: servers.server_removed,
        events.ServerReplicaConnected: servers.server_replica_connected,
        events.ServerReplicaDisconnected: servers.server_replica_disconnected,
        events.ServerReplicaDraining: servers.server_replica_draining,
        events.PolicyChanged: policy.policy_changed,
        events.ModelLoadRequested: models.model_load_requested,
        events.ModelUnloadRequested: models.model_unload_requested,
        events.ModelScaleRequested: models.model_scale_requested,
        events.ModelReplicaLoading: reports.replica_reported,
        events.ModelReplicaLoaded: reports.replica_reported,
        events.ModelReplicaLoadFailed: reports.replica_reported,
        events.ModelReplicaUnloading: reports.replica_reported,
        events.ModelReplicaUnloaded: reports.replica_reported,
        events.ModelReplicaUnloadFailed: reports.replica_reported,
        events.ModelRouteApplied: models.model_route_applied,
        events.ModelRouteFailed: models.model_route_failed,
        events.PipelineLoadRequested: pipelines.pipeline_load_requested,
        events.PipelineUnloadRequested: pipelines.pipeline_unload_requested,
        events.PipelineReported: pipelines.pipeline_reported,
        events.ResponderConnected: responders.responder_connected,
        events.ResponderDisconnected: responders.responder_disconnected,
        events.ExperimentStartRequested: experiments.experiment_start_requested,
        events.ExperimentStopRequested: experiments.experiment_stop_requested,
        events.ExperimentRouteApplied: experiments.experiment_route_applied,
        events.ExperimentRouteFailed: experiments.experiment_route_failed,
        events.ClockTicked: clock.clock_ticked,
    }
)


def apply(state: State, event: events.Event) -> State | Rejected:
    """Reduce one event; the very same state comes back when nothing changed."""
    draft = Draft(state, event.at_ms)
    rejected = RULES[type(event)](draft, event)
    if rejected is not None:
        return rejected
    return settle(draft)


def settle(draft: Draft) -> State:
    """Derive what follows from the event's own rule, step by step (see above), and return the next state."""
    for name in draft.to_place:
        place(draft, name)
    if draft.capacity_grown:
        retry_waiting(draft)
    serving_changed = [("model", name) for name in sorted(draft.unsettled) if settle_model(draft, name)]
    draft.sync_indexes()
    if draft.servers or draft.drain_checks or draft.emptied:
        _settle_servers(draft)
    if draft.pipelines or serving_changed:
        serving_changed += [
            ("pipeline", name) for name in _touched_pipelines(draft, serving_changed) if settle_pipeline(draft, name)
        ]
    if draft.experiments or serving_changed:
        for name in _touched_experiments(draft, serving_changed):
            settle_experiment(draft, name)
    if draft.unsettled:
        _settle_failures(draft, "model", draft.models, draft.unsettled)
    if draft.pipelines:
        _settle_failures(draft, "pipeline", draft.pipelines, draft.pipelines)
    if draft.experiments:
        _settle_failures(draft, "experiment", draft.experiments, draft.experiments)
    return draft.commit()


def _settle_failures(draft: Draft, kind: str, overlay: dict[str, Any], names: Iterable[str]) -> None:
    for name in sorted(names):
        entity = overlay[name]
        settle_failure(draft, kind, name, entity)
        if entity is None or entity.deleted or draft.tombstones.times:
            draft.note_tombstone(f"{kind}/{name}", finished_ms(kind, entity))


def due_ms(state: State) -> int | None:
    """Return the earliest time at which ClockTicked would do something, None: never; `reducers.clock` does it."""
    deleted = earliest(state.indexes.tombstones)
    times = [earliest(state.indexes.retries), None if deleted is None else deleted + state.policy.tombstone_ttl_ms]
    return min([time for time in times if time is not None], default=None)


def _touched_pipelines(draft: Draft, serving_changed: list[tuple[str, str]]) -> list[str]:
    """Return the pipelines that the event touched or that have a step whose model's serving changed, by name."""
    names = set(draft.pipelines)
    for _, model in serving_changed:
        names.update(draft.state.indexes.pipelines_by_model.get(model, ()))
    return sorted(names)


def _touched_experiments(draft: Draft, serving_changed: list[tuple[str, str]]) -> list[str]:
    """Return the experiments that the event touched or that have a candidate whose serving changed, by name."""
    names = set(draft.experiments)
    for candidate in serving_changed:
        names.update(draft.state.indexes.experiments_by_candidate.get(candidate, ()))
    return sorted(names)


def _settle_servers(draft: Draft) -> None:
    for server_name, index in sorted(draft.drain_checks) if draft.drain_checks else ():
        _settle_drained(draft, server_name, index)
    for name in sorted(draft.servers):
        server = draft.servers[name]
        if server is not None and not server.declared and not server.replicas:
            draft.remove_server(name)
    for name in sorted(draft.emptied) if draft.emptied else ():
        server = draft.server(name)
        if server is not None:
            ask_for_fewer(draft, server)


def _settle_drained(draft: Draft, server_name: str, index: int) -> None:
    server = draft.server(server_name)
    record = find_index(server.replicas, index) if server is not None else None
    if server is None or record is None:
        return
    usage = draft.usage.get(server_name)
    load = usage.get(index) if usage is not None else None
    drained = record.draining and (load is None or load.blocking == 0)
    if drained != record.drained:
        draft.put_server_replica(server, replace(record, drained=drained))

"""The events of experiments: requests of users and reports of the router."""

from collections.abc import Callable

from msgspec.structs import replace

from processor.cluster.draft import NOTHING, Draft
from processor.cluster.entities import Candidate, Experiment, Mirror
from processor.cluster.events import (
    ExperimentRouteApplied,
    ExperimentRouteFailed,
    ExperimentStartRequested,
    ExperimentStopRequested,
)
from processor.cluster.failures import forget_failure
from processor.cluster.lifecycle import FAILED
from processor.cluster.rejection import Rejected, is_repeat, other_revision, stale_generation, unknown_target

Definition = tuple[str, str, tuple[Candidate, ...], Mirror | None]


def experiment_start_requested(draft: Draft, event: ExperimentStartRequested) -> Rejected | None:
    """Start a split of traffic; a different definition replaces the old one and waits for routes of its own."""
    if rejected := _refusal(draft, event):
        return rejected
    experiment = draft.experiment(event.experiment)
    running = experiment is not None and not experiment.deleted
    if experiment is not None and running:
        if rejected := stale_generation(experiment.generation, event.generation):
            return rejected
        if is_repeat(experiment.generation, event.generation):
            return None
    forget_failure(draft, "experiment", event.experiment)
    definition = _definition(event)
    if experiment is not None and running and definition == _defined(experiment):
        draft.experiments[event.experiment] = replace(experiment, generation=event.generation)
    else:
        draft.experiments[event.experiment] = _replaced(experiment, event, definition)
        draft.experiments_replaced |= {event.experiment}
    return None


def experiment_stop_requested(draft: Draft, event: ExperimentStopRequested) -> Rejected | None:
    """Mark an experiment as deleted; settlement withdraws its routes."""
    experiment = draft.experiment(event.experiment)
    if experiment is None:
        return unknown_target("experiment", event.experiment)
    if experiment.deleted:
        return None
    if rejected := stale_generation(experiment.generation, event.generation):
        return rejected
    forget_failure(draft, "experiment", event.experiment)
    draft.experiments[event.experiment] = replace(
        experiment, generation=event.generation, deleted=True, deleted_ms=event.at_ms
    )
    return None


def experiment_route_applied(draft: Draft, event: ExperimentRouteApplied) -> Rejected | None:
    """Mark the split as in force, as it was wanted at this revision."""

    def applied(experiment: Experiment) -> Experiment:
        return replace(
            experiment,
            route_applied_revision=event.route_revision,
            active=experiment.routes_wanted,
            status="",
            reason="",
        )

    return _route_reported(draft, event, applied)


def experiment_route_failed(draft: Draft, event: ExperimentRouteFailed) -> Rejected | None:
    """Mark the split as not in force."""
    return _route_reported(
        draft, event, lambda experiment: replace(experiment, active=False, status=FAILED, reason=event.reason)
    )


def _route_reported(
    draft: Draft,
    event: ExperimentRouteApplied | ExperimentRouteFailed,
    change: Callable[[Experiment], Experiment],
) -> Rejected | None:
    experiment = draft.experiment(event.experiment)
    if experiment is None:
        return unknown_target("experiment", event.experiment)
    rejected = other_revision(experiment.route_revision, event.route_revision)
    if rejected or event.route_revision == experiment.route_applied_revision:
        return rejected
    draft.experiments[event.experiment] = change(experiment)
    return None


def _refusal(draft: Draft, event: ExperimentStartRequested) -> Rejected | None:
    candidates = [candidate.name for candidate in event.candidates]
    names = [*candidates, event.mirror.name] if event.mirror is not None else candidates
    if not names:
        return Rejected("no_candidates", "an experiment has a candidate or a mirror")
    if len(set(names)) < len(names):
        return Rejected("duplicate_candidate", "a name is there twice")
    if event.default and event.default not in candidates:
        return Rejected("default_not_candidate", f"{event.default} is no candidate")
    holders = draft.state.indexes.defaults.get((event.kind, event.default), NOTHING) if event.default else NOTHING
    if any(name != event.experiment for name in sorted(holders)):
        return Rejected("baseline_taken", f"{event.default} is the default of {min(holders)}")
    return None


def _definition(event: ExperimentStartRequested) -> Definition:
    mirror = Mirror(event.mirror.name, event.mirror.percent) if event.mirror is not None else None
    candidates = tuple([Candidate(candidate.name, candidate.weight) for candidate in event.candidates])
    return event.kind, event.default, candidates, mirror


def _defined(experiment: Experiment) -> Definition:
    return experiment.kind, experiment.default, experiment.candidates, experiment.mirror


def _replaced(old: Experiment | None, event: ExperimentStartRequested, definition: Definition) -> Experiment:
    kind, default, candidates, mirror = definition
    return Experiment(
        name=event.experiment,
        generation=event.generation,
        deleted=False,
        deleted_ms=None,
        kind=kind,
        default=default,
        candidates=candidates,
        mirror=mirror,
        candidates_ready=False,
        mirror_ready=False,
        routes_wanted=old.routes_wanted if old is not None else False,
        active=False,
        route_revision=old.route_revision if old is not None else 0,
        route_applied_revision=old.route_applied_revision if old is not None else 0,
        status="",
        reason="",
        status_since_ms=event.at_ms,
    )

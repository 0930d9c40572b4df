"""Settlement of an experiment: after an event its readiness, wanted routes and status are derived."""

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.lifecycle import FAILED
from processor.cluster.pipeline_settlement import pipeline_serves
from processor.cluster.statuses import EXPERIMENT_STATUS, status_of


def settle_experiment(draft: Draft, name: str) -> None:
    """Settle one experiment; a status Failed left by the reducer means a failed report at this revision."""
    experiment = draft.experiment(name)
    if experiment is None:
        return
    candidates_ready = all(_serves(draft, experiment.kind, candidate.name) for candidate in experiment.candidates)
    mirror_ready = experiment.mirror is None or _serves(draft, experiment.kind, experiment.mirror.name)
    wanted = not experiment.deleted and candidates_ready and mirror_ready
    anew = wanted != experiment.routes_wanted or (wanted and name in draft.experiments_replaced)
    active = experiment.active and wanted
    reported = replace(experiment, active=active, status="" if anew else experiment.status)
    status = status_of(EXPERIMENT_STATUS, reported)
    before = draft.state.experiments.get(name)
    draft.experiments[name] = replace(
        experiment,
        candidates_ready=candidates_ready,
        mirror_ready=mirror_ready,
        routes_wanted=wanted,
        route_revision=experiment.route_revision + anew,
        active=active,
        status=status,
        reason=experiment.reason if status == FAILED else "",
        status_since_ms=before.status_since_ms if before is not None and before.status == status else draft.at_ms,
    )


def _serves(draft: Draft, kind: str, name: str) -> bool:
    if kind == "pipeline":
        return pipeline_serves(draft.pipeline(name))
    view = draft.serving_view(name)
    return view is not None and view.serving

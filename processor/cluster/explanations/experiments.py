"""Why an experiment is as it is."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster.entities import Experiment
from processor.cluster.explanations.failures import failure_facts, retry_words
from processor.cluster.explanations.values import Explanation, Section
from processor.cluster.indexes import finished_ms
from processor.cluster.pipeline_settlement import pipeline_serves
from processor.cluster.state import State

STATUS_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Stopped": "it was stopped",
        "Active": "its routes of revision {revision} are wanted and applied",
        "Failed": "the router could not apply its routes of revision {revision}",
        "Pending": "its routes are not applied yet",
    }
)
"""Status → the rule that gives it, in words."""

_PENDING_UNREADY: Final = "its routes are not wanted yet: not everything that it splits over serves"


def explain_experiment(state: State, name: str) -> Explanation:
    """Explain an experiment."""
    experiment = state.experiments[name]
    unready = experiment.status == "Pending" and not experiment.routes_wanted
    rule = _PENDING_UNREADY if unready else STATUS_RULES[experiment.status]
    rows = tuple(_rows(state, experiment))
    return Explanation(
        kind="experiment",
        name=name,
        status=experiment.status,
        rule=rule.format(revision=experiment.route_revision),
        facts={**_facts(state, experiment), **failure_facts(state, "experiment", name)},
        sections=(Section("candidates", rows),),
        awaits=tuple(_awaits(state, experiment, rows)),
    )


def _facts(state: State, experiment: Experiment) -> dict[str, Any]:
    finished = finished_ms("experiment", experiment)
    return {
        "reason": experiment.reason,
        "status_since_ms": experiment.status_since_ms,
        "generation": experiment.generation,
        "deleted": experiment.deleted,
        "forgotten_ms": None if finished is None else finished + state.policy.tombstone_ttl_ms,
        "kind": experiment.kind,
        "default": experiment.default,
        "candidates_ready": experiment.candidates_ready,
        "mirror_ready": experiment.mirror_ready,
        "routes_wanted": experiment.routes_wanted,
        "active": experiment.active,
        "route_revision": experiment.route_revision,
        "route_applied_revision": experiment.route_applied_revision,
    }


def _rows(state: State, experiment: Experiment) -> Iterator[dict[str, Any]]:
    for candidate in experiment.candidates:
        share = f"weight {candidate.weight}"
        yield {"candidate": candidate.name, "share": share, **_serving(state, experiment.kind, candidate.name)}
    if experiment.mirror is not None:
        share, name = f"mirror, {experiment.mirror.percent} %", experiment.mirror.name
        yield {"candidate": name, "share": share, **_serving(state, experiment.kind, name)}


def _serving(state: State, kind: str, name: str) -> dict[str, Any]:
    entity: Any = (state.pipelines if kind == "pipeline" else state.models).get(name)
    if entity is None:
        return {"serving": False, "status": "", "because": f"there is no such {kind}"}
    status = entity.versions[-1].status
    if entity.deleted:
        return {"serving": False, "status": status, "because": "it is deleted"}
    serving = pipeline_serves(entity) if kind == "pipeline" else state.indexes.serving_views[name].serving
    because = {
        ("model", True): "some replica takes traffic",
        ("model", False): "no replica takes traffic",
        ("pipeline", True): "some version is ready",
        ("pipeline", False): "no version is ready",
    }
    return {"serving": serving, "status": status, "because": because[kind, serving]}


def _awaits(state: State, experiment: Experiment, rows: tuple[dict[str, Any], ...]) -> Iterator[str]:
    if not experiment.deleted:
        for row in rows:
            if not row["serving"]:
                yield f"{experiment.kind} {row['candidate']} to serve: {row['because']}"
    revision, applied = experiment.route_revision, experiment.route_applied_revision
    if revision != applied and experiment.status != "Failed":
        what = "to apply" if experiment.routes_wanted else "to take away"
        yield f"the router, {what} the routes (revision {revision}); the last that it applied is {applied}"
    retry = retry_words(state, "experiment", experiment.name)
    if retry:
        yield retry
    if finished_ms("experiment", experiment) is not None:
        yield "the clock, to forget it"

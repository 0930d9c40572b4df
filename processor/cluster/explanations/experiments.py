"""Explanation of an experiment."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster.entities import Experiment
from processor.cluster.explanations.failures import clock_awaits, failure_facts, forgotten_ms
from processor.cluster.explanations.serving import serving_facts
from processor.cluster.explanations.values import Explanation, Section
from processor.cluster.lifecycle import FAILED
from processor.cluster.state import State
from processor.cluster.statuses import ACTIVE, PENDING, STOPPED

STATUS_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        STOPPED: "it was stopped",
        ACTIVE: "its routes of revision {revision} are wanted and applied",
        FAILED: "the router could not apply its routes of revision {revision}",
        PENDING: "its routes are not applied yet",
    }
)
"""Status → the rule that gives it, in words."""

_PENDING_UNREADY: Final = "its routes are not wanted yet: not everything that it splits over serves"


def explain_experiment(state: State, name: str) -> Explanation:
    """Explain an experiment."""
    experiment = state.experiments[name]
    unready = experiment.status == PENDING and not experiment.routes_wanted
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
    return {
        "reason": experiment.reason,
        "status_since_ms": experiment.status_since_ms,
        "generation": experiment.generation,
        "deleted": experiment.deleted,
        "forgotten_ms": forgotten_ms(state, "experiment", experiment),
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
        yield {"candidate": candidate.name, "share": share, **serving_facts(state, experiment.kind, candidate.name)}
    if experiment.mirror is not None:
        share, name = f"mirror, {experiment.mirror.percent} %", experiment.mirror.name
        yield {"candidate": name, "share": share, **serving_facts(state, experiment.kind, name)}


def _awaits(state: State, experiment: Experiment, rows: tuple[dict[str, Any], ...]) -> Iterator[str]:
    if not experiment.deleted:
        for row in rows:
            if not row["serving"]:
                yield f"{experiment.kind} {row['candidate']} to serve: {row['because']}"
    revision, applied = experiment.route_revision, experiment.route_applied_revision
    if revision != applied and experiment.status != FAILED:
        what = "to apply" if experiment.routes_wanted else "to take away"
        yield f"the router, {what} the routes (revision {revision}); the last that it applied is {applied}"
    yield from clock_awaits(state, "experiment", experiment)

"""Explanations: the rule behind an entity's status, the facts it rests on, and what it waits for.

Pure: the same state gives the same explanation. No rule reads an explanation.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import asdict

from processor.cluster.entities import Policy
from processor.cluster.explanations.experiments import explain_experiment
from processor.cluster.explanations.failures import explain_failure
from processor.cluster.explanations.models import explain_model
from processor.cluster.explanations.pipelines import explain_pipeline, explain_responder
from processor.cluster.explanations.servers import explain_server
from processor.cluster.explanations.values import Explanation
from processor.cluster.generator import due_ms
from processor.cluster.kinds import POLICY_NAME, SECTIONS
from processor.cluster.state import State

__all__ = ["Explanation", "explain", "to_json"]


def explain(state: State, kind: str, name: str) -> Explanation | None:
    """Explain one entity, None if it does not exist; responders and failures are named by their keys."""
    if kind == "policy":
        return _explain_policy(state, name) if name == POLICY_NAME else None
    return _EXPLAINED[kind](state, name) if name in getattr(state, SECTIONS[kind]) else None


def to_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain JSON; sections by their titles."""
    return {
        "kind": explanation.kind,
        "name": explanation.name,
        "status": explanation.status,
        "rule": explanation.rule,
        "facts": dict(explanation.facts),
        "sections": {section.title: [dict(row) for row in section.rows] for section in explanation.sections},
        "awaits": list(explanation.awaits),
    }


def _explain_policy(state: State, name: str) -> Explanation:
    default = Policy()
    changed = [field for field, value in asdict(state.policy).items() if value != getattr(default, field)]
    rule = f"an operator changed {', '.join(changed)}" if changed else "every field is as it is by default"
    return Explanation(
        kind="policy",
        name=name,
        status="",
        rule=rule,
        facts={**asdict(state.policy), "clock_due_ms": due_ms(state)},
    )


_EXPLAINED: Final[Mapping[str, Callable[[State, str], Explanation]]] = MappingProxyType(
    {
        "server": explain_server,
        "responder": explain_responder,
        "model": explain_model,
        "pipeline": explain_pipeline,
        "experiment": explain_experiment,
        "failure": explain_failure,
    }
)

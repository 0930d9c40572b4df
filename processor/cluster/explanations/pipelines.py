"""Explanations of pipelines and responders."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster.entities import Pipeline, PipelineVersion, RoleProgress
from processor.cluster.explanations.failures import clock_awaits, failure_facts, forgotten_ms
from processor.cluster.explanations.serving import serving_facts
from processor.cluster.explanations.values import Explanation, Section
from processor.cluster.lifecycle import FAILED, TERMINATE_FAILED, TERMINATED, TERMINATING
from processor.cluster.pipeline_lifecycle import (
    CREATING,
    ENGINE_ROLE,
    GATEWAY_ROLE,
    MODELS_UNAVAILABLE,
    PENDING,
    READY,
    REBALANCING,
    TO_CREATE,
)
from processor.cluster.role_progress import roles_of
from processor.cluster.state import State

STATUS_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        FAILED: "no {failed} could create it",
        READY: "engines and gateways have it, and all its models serve",
        MODELS_UNAVAILABLE: "engines and gateways have it, but not all its models serve",
        CREATING: "engines or gateways do not have it yet",
        TERMINATE_FAILED: "it is not wanted any more, and some responder could not delete it",
        TERMINATED: "it is not wanted any more, and no responder has it",
        TERMINATING: "it is not wanted any more, and some responder still has it",
    }
)
"""Status of a version → the rule that gives it, in words."""

_ASKED: Final[Mapping[str, str]] = MappingProxyType(
    {CREATING: "to create it", REBALANCING: "to share it anew", TERMINATING: "to delete it"}
)
_RESPONDERS: Final[Mapping[str, str]] = MappingProxyType({ENGINE_ROLE: "engine", GATEWAY_ROLE: "gateway"})


def explain_pipeline(state: State, name: str) -> Explanation:
    """Explain a pipeline by its latest version; the sections hold the others."""
    pipeline = state.pipelines[name]
    latest = pipeline.versions[-1]
    return Explanation(
        kind="pipeline",
        name=name,
        status=latest.status,
        rule=_rule(latest),
        facts={**_facts(state, pipeline), **failure_facts(state, "pipeline", name)},
        sections=tuple(section for section in _sections(state, pipeline) if section.rows),
        awaits=tuple(_awaits(state, pipeline)),
    )


def explain_responder(state: State, key: str) -> Explanation:
    """Explain the responder `<role>/<name>`: what it is asked for."""
    responder = state.responders[key]
    asked = [
        f"its answer about pipeline {name} version {version.version}: asked {_ASKED.get(progress.state, 'for it')}"
        for name in sorted(state.pipelines)
        for version, role, progress in _roles(state.pipelines[name])
        if role == responder.role
        and any((answer.responder, answer.state) == (responder.responder, PENDING) for answer in progress.answers)
    ]
    return Explanation(
        kind="responder",
        name=key,
        status="",
        rule="it is connected",
        facts={"role": responder.role, "connected_ms": responder.connected_ms},
        awaits=tuple(asked),
    )


def _rule(version: PipelineVersion) -> str:
    failed = [_RESPONDERS[role] for role, progress in roles_of(version) if progress.state == FAILED]
    return STATUS_RULES[version.status].format(failed=" and no ".join(failed))


def _facts(state: State, pipeline: Pipeline) -> dict[str, Any]:
    latest = pipeline.versions[-1]
    return {
        "reason": latest.reason,
        "status_since_ms": latest.status_since_ms,
        "version": latest.version,
        "generation": pipeline.generation,
        "deleted": pipeline.deleted,
        "forgotten_ms": forgotten_ms(state, "pipeline", pipeline),
        "engine": latest.engine.state,
        "engines_connected": len(state.indexes.responders.get(ENGINE_ROLE, ())),
        "gateway": latest.gateway.state,
        "gateways_connected": len(state.indexes.responders.get(GATEWAY_ROLE, ())),
        "models_ready": latest.models_ready,
    }


def _sections(state: State, pipeline: Pipeline) -> Iterator[Section]:
    yield Section(
        "versions",
        tuple(
            {"version": version.version, "status": version.status, "because": _rule(version), "reason": version.reason}
            for version in pipeline.versions
        ),
    )
    yield Section("axes", tuple(_role_row(version, role, progress) for version, role, progress in _roles(pipeline)))
    yield Section(
        "answers",
        tuple(
            {"version": version.version, "role": role, **_answer(answer)}
            for version, role, progress in _roles(pipeline)
            for answer in progress.answers
        ),
    )
    yield Section("models", tuple(_model_row(state, step.name) for step in pipeline.versions[-1].steps))


def _role_row(version: PipelineVersion, role: str, progress: RoleProgress) -> dict[str, Any]:
    return {
        "version": version.version,
        "role": role,
        "state": progress.state,
        "sequence": progress.sequence,
        "reason": progress.reason,
    }


def _answer(answer: Any) -> dict[str, str]:
    return {"responder": answer.responder, "answer": answer.state, "reason": answer.reason}


def _model_row(state: State, name: str) -> dict[str, Any]:
    return {"model": name, **serving_facts(state, "model", name)}


def _awaits(state: State, pipeline: Pipeline) -> Iterator[str]:
    for version, role, progress in _roles(pipeline):
        word = _RESPONDERS[role]
        if progress.state == TO_CREATE:
            yield f"a first {word} to connect, to create version {version.version}"
        for answer in progress.answers:
            if answer.state == PENDING and progress.state in _ASKED:
                yield f"{word} {answer.responder}, asked {_ASKED[progress.state]}: version {version.version}"
    latest = pipeline.versions[-1]
    for step in () if pipeline.deleted else latest.steps:
        row = _model_row(state, step.name)
        if not row["serving"]:
            yield f"model {step.name} to serve: {row['because']}"
    yield from clock_awaits(state, "pipeline", pipeline)


def _roles(pipeline: Pipeline) -> Iterator[tuple[PipelineVersion, str, RoleProgress]]:
    for version in pipeline.versions:
        for role, progress in roles_of(version):
            yield version, role, progress

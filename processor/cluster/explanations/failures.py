"""Explanation of a failure, and what the clock will do about an entity."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster.entities import Failure
from processor.cluster.explanations.values import Explanation
from processor.cluster.failures import (
    CAUSES,
    ENGINE,
    GATEWAY,
    LOAD,
    ROUTE_FAILED,
    TERMINATE,
    UNLOAD,
    is_unresolved,
)
from processor.cluster.indexes import finished_ms
from processor.cluster.kinds import SECTIONS
from processor.cluster.placement import INSUFFICIENT_REPLICAS, NO_MATCHING_SERVER
from processor.cluster.state import State

RETRIED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("model", NO_MATCHING_SERVER): "the latest version is placed again",
        ("model", INSUFFICIENT_REPLICAS): "the latest version is placed again",
        ("model", LOAD): "failed replicas are dropped and the latest version is placed again",
        ("model", ROUTE_FAILED): "the routes are announced again under a new revision",
        ("model", UNLOAD): "the replicas that failed to unload are told to unload again",
        ("pipeline", ENGINE): "the engines are asked again to create the latest version",
        ("pipeline", GATEWAY): "the gateways are asked again to create the latest version",
        ("pipeline", TERMINATE): "the responders are asked again to delete what they could not",
        ("experiment", ROUTE_FAILED): "the routes are announced again under a new revision",
    }
)
"""(kind, code) of a failure → what a retry does."""


def explain_failure(state: State, key: str) -> Explanation:
    """Explain the failure `<kind>/<name>`."""
    failure = state.failures[key]
    stands = _stands(state, failure)
    retry = retry_words(state, failure.kind, failure.name)
    return Explanation(
        kind="failure",
        name=key,
        status=failure.code,
        rule=_rule(failure, stands=stands),
        facts={
            "message": failure.message,
            "cause_stands": stands,
            "attempts": failure.attempts,
            "retry_limit": state.policy.retry_limit,
            "since_ms": failure.since_ms,
            "next_retry_ms": next_retry_ms(state, key),
            "retry_interval_ms": state.policy.retry_interval_ms,
            "retry": RETRIED[failure.kind, failure.code],
        },
        awaits=(retry,) if retry else (),
    )


def failure_facts(state: State, kind: str, name: str) -> dict[str, Any]:
    """Return the recorded failure of an entity as facts about the entity; {} if there is none."""
    key = f"{kind}/{name}"
    failure = state.failures.get(key)
    if failure is None:
        return {}
    return {
        "failure": failure.code,
        "failure_message": failure.message,
        "failure_attempts": failure.attempts,
        "failure_retry_limit": state.policy.retry_limit,
        "failure_next_retry_ms": next_retry_ms(state, key),
    }


def retry_words(state: State, kind: str, name: str) -> str:
    """Say when and how the failed operation of an entity is retried; "" if there is nothing to retry."""
    failure = state.failures.get(f"{kind}/{name}")
    if failure is None or not _stands(state, failure):
        return ""
    limit = state.policy.retry_limit
    if failure.attempts >= limit:
        return f"no retry comes any more ({failure.attempts} made, the policy allows {limit}): only a new request does"
    return f"the clock, for retry {failure.attempts + 1} of {limit}: {RETRIED[kind, failure.code]}"


def clock_awaits(state: State, kind: str, entity: Any) -> Iterator[str]:
    """Yield what the clock has still to do about a model, pipeline or experiment: retry it, forget it."""
    retry = retry_words(state, kind, entity.name)
    if retry:
        yield retry
    if finished_ms(kind, entity) is not None:
        yield "the clock, to forget it"


def forgotten_ms(state: State, kind: str, entity: Any) -> int | None:
    """Return when a deleted entity is forgotten, None if it is not deleted or not finished."""
    finished = finished_ms(kind, entity)
    return None if finished is None else finished + state.policy.tombstone_ttl_ms


def next_retry_ms(state: State, key: str) -> int | None:
    """Return when the failure `<kind>/<name>` is retried, None if it is not."""
    time: int | None = state.indexes.retries.times.get(key)
    return time


def _stands(state: State, failure: Failure) -> bool:
    entity = getattr(state, SECTIONS[failure.kind]).get(failure.name)
    return entity is not None and is_unresolved(entity, failure, CAUSES[failure.kind](entity))


def _rule(failure: Failure, *, stands: bool) -> str:
    what = f"{failure.kind} {failure.name}"
    if stands:
        return f"what was wrong with {what} still is"
    return f"nothing is wrong with {what} at the moment, but it is not well again yet: it is still under way"

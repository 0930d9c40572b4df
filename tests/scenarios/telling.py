"""How entities stand, in a line or a few: what a reader of a transcript wants to see of each."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import asdict

from processor.cluster.entities import Experiment, Failure, Model, Pipeline, Policy, Responder, RoleProgress, Server
from processor.cluster.rollout import routes

NOTHING = "∅"


def time_words(at_ms: int) -> str:
    """Return a time in the transcripts' own units."""
    return f"{at_ms // 1_000}s" if at_ms % 1_000 == 0 else f"{at_ms}ms"


def standing(kind: str, entity: Any) -> list[str]:
    """Return the lines that say how an entity stands."""
    return list(TOLD[kind](entity))


def _server(server: Server) -> Iterator[str]:
    expected = "?" if server.expected_replicas < 0 else server.expected_replicas
    most = server.max_replicas or "any"
    declared = f"declared, generation {server.generation}" if server.declared else "not declared"
    asked = "" if server.requested_replicas is None else f", asked for {server.requested_replicas}"
    private = "" if server.shared else ", not shared"
    expects = f"expects {expected} (at least {server.min_replicas}, at most {most})"
    yield f"{declared}, {expects}{asked}{private}"
    for replica in server.replicas:
        flags = [word for word, holds in (("draining", replica.draining), ("drained", replica.drained)) if holds]
        orphans = [f"orphan {orphan.model}:{orphan.version}" for orphan in replica.orphans]
        words = [f"/{replica.index} {replica.available_memory} of {replica.memory} bytes", *flags, *orphans]
        yield ", ".join(words)


def _model(model: Model) -> Iterator[str]:
    shares = ", ".join(
        f"v{route.version} {route.server}/{','.join(map(str, route.replicas))} {route.weight} %"
        for route in routes(model)
    )
    deleted = f", deleted at {time_words(model.deleted_ms)}" if model.deleted_ms is not None else ""
    applied = f"{model.route_applied_revision} of {model.route_revision} applied"
    yield f"generation {model.generation}{deleted}, routes {shares or NOTHING} ({applied})"
    for version in model.versions:
        why = f" ({version.reason})" if version.reason else ""
        wanted = f"{version.available_replicas} of {version.deployment.replicas} available"
        least = f", {version.deployment.min_replicas} will do" if version.deployment.min_replicas else ""
        entries = ", ".join(f"{replica.index} {replica.state}" for replica in version.replicas)
        bound = f"on {version.server}: {entries or NOTHING}" if version.server else "bound to no server"
        yield f"v{version.version} {version.status}{why}, {wanted}{least}, {bound}"
        if version.placement_failure is not None:
            details = ", ".join(f"{detail.server} {detail.code}" for detail in version.placement_failure.details)
            yield f"   no place: {details or 'there is no server'}"


def _pipeline(pipeline: Pipeline) -> Iterator[str]:
    deleted = f", deleted at {time_words(pipeline.deleted_ms)}" if pipeline.deleted_ms is not None else ""
    yield f"generation {pipeline.generation}{deleted}"
    for version in pipeline.versions:
        why = f" ({version.reason})" if version.reason else ""
        ready = "models ready" if version.models_ready else "models not ready"
        yield f"v{version.version} {version.status}{why}, {ready}"
        yield f"   engine {_axis(version.engine)}"
        yield f"   gateway {_axis(version.gateway)}"


def _axis(axis: RoleProgress) -> str:
    why = f" ({axis.reason})" if axis.reason else ""
    answers = ", ".join(
        f"{answer.responder} {answer.state}{f' ({answer.reason})' if answer.reason else ''}" for answer in axis.answers
    )
    return f"{axis.state}{why} #{axis.sequence}{f': {answers}' if answers else ''}"


def _experiment(experiment: Experiment) -> Iterator[str]:
    why = f" ({experiment.reason})" if experiment.reason else ""
    deleted = f", deleted at {time_words(experiment.deleted_ms)}" if experiment.deleted_ms is not None else ""
    shares = [f"{candidate.name} {candidate.weight}" for candidate in experiment.candidates]
    if experiment.mirror is not None:
        shares.append(f"mirror {experiment.mirror.name} {experiment.mirror.percent} %")
    ready = f"candidates {_ready(experiment.candidates_ready)}, mirror {_ready(experiment.mirror_ready)}"
    wanted = "wanted" if experiment.routes_wanted else "not wanted"
    applied = f"{experiment.route_applied_revision} of {experiment.route_revision} applied"
    active = "active" if experiment.active else "not active"
    yield f"{experiment.status}{why}, generation {experiment.generation}{deleted}: {', '.join(shares)}"
    yield f"{ready}, routes {wanted} ({applied}), {active}"


def _ready(ready: bool) -> str:  # noqa: FBT001 - the only thing it is about
    return "ready" if ready else "not ready"


def _failure(failure: Failure) -> Iterator[str]:
    tried = f"tried again {failure.attempts} times" if failure.attempts else "not tried again yet"
    since, due = time_words(failure.since_ms), time_words(failure.next_retry_ms)
    yield f"{failure.code} ({failure.message}) since {since}, {tried}, next at {due}"


def _responder(responder: Responder) -> Iterator[str]:
    yield f"connected at {time_words(responder.connected_ms)}"


def _policy(policy: Policy) -> Iterator[str]:
    default = Policy()
    changed = [
        f"{name} {str(value).lower()}" for name, value in asdict(policy).items() if value != getattr(default, name)
    ]
    yield ", ".join(changed) or "as it is by default"


TOLD: dict[str, Callable[[Any], Iterator[str]]] = {
    "server": _server,
    "model": _model,
    "pipeline": _pipeline,
    "experiment": _experiment,
    "failure": _failure,
    "responder": _responder,
    "policy": _policy,
}

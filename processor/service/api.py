"""The HTTP API without the server: maps a request target to a response. Probes, metrics, status and state."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from processor.cluster.kinds import SECTIONS, WORDS, entities_of
from processor.engine.health import Health
from processor.service.probes import Probe, live, ready, status_of, verdict
from processor.service.queries import BadQueryError, Target, clipped, shard_of, target_of
from processor.service.responses import Response, document, problem, text

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RETRY = {"Retry-After": "1"}


class ApiSources(msgspec.Struct, frozen=True, kw_only=True):
    """What the API reads. Every callable may be called from any thread.

    `health` returns one consistent value a shard, with its state if the shard is owned here; `document` converts a
    state to JSON. `owner` returns the instance that owns a shard elsewhere, empty if unknown. `now_s` is monotonic,
    `now_ms` wall time.
    """

    app: str
    instance: str
    clusters: tuple[str, ...]
    health: Callable[[], Sequence[Health]]
    document: Callable[[Any], Mapping[str, Any]]
    metrics: Callable[[], bytes]
    now_s: Callable[[], float]
    now_ms: Callable[[], int]
    owner: Callable[[int], str] = lambda _shard: ""


def respond(sources: ApiSources, request: str) -> Response:
    """Response a GET of this request target (path and query)."""
    try:
        return _routed(sources, target_of(request))
    except BadQueryError as error:
        return problem(HTTPStatus.BAD_REQUEST, str(error))


def _routed(sources: ApiSources, target: Target) -> Response:
    match target.segments:
        case ("livez",):
            target.only()
            return _probe(live(sources.health(), sources.now_s()))
        case ("readyz",):
            target.only()
            return _probe(ready(sources.health(), sources.now_s()))
        case ("metrics",):
            target.only()
            return Response(HTTPStatus.OK, METRICS_TYPE, sources.metrics())
        case ("api", "v1", "status"):
            target.only()
            return document(status(sources))
        case ("api", "v1", "state", *rest):
            return _state(sources, rest, shard_of(target.only("shard").get("shard", "0"), len(sources.clusters)))
        case _:
            return problem(HTTPStatus.NOT_FOUND, f"there is nothing at {clipped(target.path)}")


def status(sources: ApiSources) -> dict[str, Any]:
    """Return the process and its shards as JSON."""
    shards, now_s = sources.health(), sources.now_s()
    return {
        "cluster": sources.app,
        "instance": sources.instance,
        "as_of_ms": sources.now_ms(),
        "verdict": verdict(shards, now_s),
        "shards": [_shard_status(sources, health, now_s) for health in shards],
    }


def _shard_status(sources: ApiSources, health: Health, now_s: float) -> dict[str, Any]:
    """Return one shard as JSON; fields that only its owner knows are null elsewhere."""
    owned = health.state is not None
    return {
        "shard": health.shard,
        "cluster": sources.clusters[health.shard],
        "status": status_of(health, now_s),
        "phase": health.phase,
        "reason": health.why,
        "owner": (sources.instance if owned else sources.owner(health.shard)) or None,
        "epoch": health.epoch or None,
        "seq": health.seq if owned else None,
        "digest": health.digest or None,
        "last_commit_ms": health.committed_ms or None,
        "outbox": health.outbox_commits if owned else None,
    }


def _state(sources: ApiSources, rest: Sequence[str], shard: int) -> Response:
    health = next((health for health in sources.health() if health.shard == shard), None)
    if health is None or health.state is None:
        return _not_here(sources, shard, health)
    frame = {"shard": shard, "seq": health.seq, "source": "live"}
    state = sources.document(health.state)
    return _entities(state, frame, rest) if rest else document({**frame, "state": state})


def _not_here(sources: ApiSources, shard: int, health: Health | None) -> Response:
    """Return why a shard has no state here: 404 no such shard, 409 another process owns it, 503 nobody does now."""
    sentence = f"shard {shard} is not owned by this process"
    if health is None:
        last = len(sources.clusters) - 1
        return problem(HTTPStatus.NOT_FOUND, f"{sentence}, nor by any: PROCESSOR_CLUSTERS makes shards 0 to {last}")
    owner = sources.owner(shard)
    if owner:
        return problem(HTTPStatus.CONFLICT, f"{sentence}: {owner} owns it, ask that one", shard=shard, owner=owner)
    why = f": {health.why}" if health.why else ""
    sentence = f"{sentence}, nor by another at present; here it is {health.phase}{why}"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, sentence, headers=RETRY, shard=shard, owner=None)


def _entities(state: Mapping[str, Any], frame: Mapping[str, Any], rest: Sequence[str]) -> Response:
    kind = WORDS.get(rest[0])
    if kind is None:
        sentence = f"there is no kind {clipped(rest[0])!r}: one of {', '.join(SECTIONS)}"
        return problem(HTTPStatus.NOT_FOUND, sentence)
    entities = entities_of(state, kind)
    name = "/".join(rest[1:])
    if not name:
        return document({**frame, "kind": kind, "total": len(entities), "items": dict(sorted(entities.items()))})
    if name not in entities:
        return problem(HTTPStatus.NOT_FOUND, f"there is no {kind} {clipped(name)!r}")
    return document({**frame, "kind": kind, "name": name, "entity": entities[name]})


def _probe(probe: Probe) -> Response:
    if probe.passed:
        return text(HTTPStatus.OK, "ok\n")
    return text(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{reason}\n" for reason in probe.reasons))

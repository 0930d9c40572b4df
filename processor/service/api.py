"""From a request's target to its answer, without any server: probes, metrics, status and state."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from processor.cluster.kinds import SECTIONS, WORDS, entities_of
from processor.engine.health import Health
from processor.service.answers import Answer, document, problem, text
from processor.service.probes import Probe, live, ready, status_of, verdict
from processor.service.queries import BadQueryError, Target, clipped, shard_of, target_of

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RETRY = {"Retry-After": "1"}


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answers come from; every callable may be called from any thread.

    `health` gives each shard as one whole value, the state of an owned one in it, which `document` turns into JSON;
    `owner` the other instance that owns a shard, as far as it is known. `now_s` is monotonic, `now_ms` wall time.
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


def answer(views: Views, request: str) -> Answer:
    """Answer a GET of this request target (path and query)."""
    try:
        return _routed(views, target_of(request))
    except BadQueryError as error:
        return problem(HTTPStatus.BAD_REQUEST, str(error))


def _routed(views: Views, target: Target) -> Answer:
    match target.segments:
        case ("livez",):
            target.only()
            return _probe(live(views.health(), views.now_s()))
        case ("readyz",):
            target.only()
            return _probe(ready(views.health(), views.now_s()))
        case ("metrics",):
            target.only()
            return Answer(HTTPStatus.OK, METRICS_TYPE, views.metrics())
        case ("api", "v1", "status"):
            target.only()
            return document(status(views))
        case ("api", "v1", "state", *rest):
            return _state(views, rest, shard_of(target.only("shard").get("shard", "0"), len(views.clusters)))
        case _:
            return problem(HTTPStatus.NOT_FOUND, f"there is nothing at {clipped(target.path)}")


def status(views: Views) -> dict[str, Any]:
    """Return the process and its shards as JSON."""
    shards, now_s = views.health(), views.now_s()
    return {
        "cluster": views.app,
        "instance": views.instance,
        "as_of_ms": views.now_ms(),
        "verdict": verdict(shards, now_s),
        "shards": [_shard_status(views, health, now_s) for health in shards],
    }


def _shard_status(views: Views, health: Health, now_s: float) -> dict[str, Any]:
    """Return one shard; what only its owner knows is null elsewhere."""
    owned = health.state is not None
    return {
        "shard": health.shard,
        "cluster": views.clusters[health.shard],
        "status": status_of(health, now_s),
        "phase": health.phase,
        "reason": health.why,
        "owner": (views.instance if owned else views.owner(health.shard)) or None,
        "epoch": health.epoch or None,
        "seq": health.seq if owned else None,
        "digest": health.digest or None,
        "last_commit_ms": health.committed_ms or None,
        "outbox": health.outbox_commits if owned else None,
    }


def _state(views: Views, rest: Sequence[str], shard: int) -> Answer:
    health = next((health for health in views.health() if health.shard == shard), None)
    if health is None or health.state is None:
        return _not_here(views, shard, health)
    frame = {"shard": shard, "seq": health.seq, "source": "live"}
    state = views.document(health.state)
    return _entities(state, frame, rest) if rest else document({**frame, "state": state})


def _not_here(views: Views, shard: int, health: Health | None) -> Answer:
    """Say who owns a shard instead: 404 no such shard, 409 another process does, 503 nobody at present."""
    sentence = f"shard {shard} is not owned by this process"
    if health is None:
        last = len(views.clusters) - 1
        return problem(HTTPStatus.NOT_FOUND, f"{sentence}, nor by any: PROCESSOR_CLUSTERS makes shards 0 to {last}")
    owner = views.owner(shard)
    if owner:
        return problem(HTTPStatus.CONFLICT, f"{sentence}: {owner} owns it, ask that one", shard=shard, owner=owner)
    why = f": {health.why}" if health.why else ""
    sentence = f"{sentence}, nor by another at present; here it is {health.phase}{why}"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, sentence, headers=RETRY, shard=shard, owner=None)


def _entities(state: Mapping[str, Any], frame: Mapping[str, Any], rest: Sequence[str]) -> Answer:
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


def _probe(probe: Probe) -> Answer:
    if probe.passed:
        return text(HTTPStatus.OK, "ok\n")
    return text(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{reason}\n" for reason in probe.reasons))

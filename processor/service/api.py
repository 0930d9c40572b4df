"""From a request's path to its answer, without any server: probes, metrics, status and state."""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from processor.engine.health import Health
from processor.kinds import SECTIONS, WORDS, entities_of
from processor.service.probes import Probe, live, ready, status_of, verdict

JSON_TYPE = "application/json"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Answer(msgspec.Struct, frozen=True):
    """What goes back: a status, a content type and a body."""

    status: HTTPStatus
    content_type: str
    body: bytes


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answers come from; every callable may be called from any thread.

    `document(shard)` is the state document of a shard that this process owns, None of one that it does not.
    `now_s` is monotonic, `now_ms` wall time.
    """

    app: str
    instance: str
    clusters: tuple[str, ...]
    health: Callable[[], Sequence[Health]]
    document: Callable[[int], Mapping[str, Any] | None]
    metrics: Callable[[], bytes]
    now_s: Callable[[], float]
    now_ms: Callable[[], int]


def answer(views: Views, target: str) -> Answer:
    """Answer a GET of this request target (path and query)."""
    url = urlsplit(target)
    parts = tuple(unquote(part) for part in url.path.split("/") if part)
    match parts:
        case ("livez",):
            return _probe(live(views.health(), views.now_s()))
        case ("readyz",):
            return _probe(ready(views.health(), views.now_s()))
        case ("metrics",):
            return Answer(HTTPStatus.OK, METRICS_TYPE, views.metrics())
        case ("api", "v1", "status"):
            return _json(status(views))
        case ("api", "v1", "state", *rest):
            return _state(views, rest, parse_qs(url.query))
        case _:
            return _problem(HTTPStatus.NOT_FOUND, f"there is nothing at {url.path}")


def status(views: Views) -> dict[str, Any]:
    """Return the process and its shards as JSON."""
    shards, now_s = views.health(), views.now_s()
    return {
        "cluster": views.app,
        "instance": views.instance,
        "as_of_ms": views.now_ms(),
        "verdict": verdict(shards, now_s),
        "shards": [
            {
                "shard": health.shard,
                "cluster": views.clusters[health.shard],
                "status": status_of(health, now_s),
                "phase": health.phase,
                "reason": health.why,
                "epoch": health.epoch,
                "seq": health.seq,
                "digest": health.digest,
                "last_commit_ms": health.committed_ms or None,
                "outbox": health.outbox_commits,
            }
            for health in shards
        ],
    }


def _state(views: Views, rest: Sequence[str], query: Mapping[str, list[str]]) -> Answer:
    shard_text = query.get("shard", ["0"])[-1]
    if not shard_text.isdigit():
        return _problem(HTTPStatus.BAD_REQUEST, f"shard is a number, not {shard_text!r}")
    shard = int(shard_text)
    document = views.document(shard)
    if document is None:
        return _problem(HTTPStatus.NOT_FOUND, f"shard {shard} is not owned by this process")
    health = next((health for health in views.health() if health.shard == shard), Health(shard=shard))
    frame = {"shard": shard, "seq": health.seq, "source": "live"}
    if not rest:
        return _json({**frame, "state": document})
    return _entities(document, frame, rest)


def _entities(document: Mapping[str, Any], frame: Mapping[str, Any], rest: Sequence[str]) -> Answer:
    kind = WORDS.get(rest[0])
    if kind is None:
        return _problem(HTTPStatus.NOT_FOUND, f"there is no kind {rest[0]!r}: one of {', '.join(SECTIONS)}")
    entities = entities_of(document, kind)
    name = "/".join(rest[1:])
    if not name:
        return _json({**frame, "kind": kind, "total": len(entities), "items": dict(sorted(entities.items()))})
    if name not in entities:
        return _problem(HTTPStatus.NOT_FOUND, f"there is no {kind} {name!r}")
    return _json({**frame, "kind": kind, "name": name, "entity": entities[name]})


def _probe(probe: Probe) -> Answer:
    body = "ok\n" if probe.passed else "".join(f"{reason}\n" for reason in probe.reasons)
    code = HTTPStatus.OK if probe.passed else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(code, "text/plain; charset=utf-8", body.encode())


def _problem(code: HTTPStatus, sentence: str) -> Answer:
    return _json({"error": sentence}, code)


def _json(document: Any, code: HTTPStatus = HTTPStatus.OK) -> Answer:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Answer(code, JSON_TYPE, text.encode())

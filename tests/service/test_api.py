import json
from collections.abc import Mapping
from typing import Any

import pytest

from processor.engine.health import Health
from processor.service.api import ApiSources, respond

DOCUMENT: Mapping[str, Any] = {
    "policy": {"retry_limit": 10},
    "servers": {},
    "responders": {"dataflow_engine/e0": {"role": "dataflow_engine"}},
    "models": {"iris": {"generation": 2}, "ant": {"generation": 1}},
    "pipelines": {},
    "experiments": {},
    "failures": {"model/iris": {"code": "load_failed"}},
}
HEALTH = Health(
    shard=0,
    phase="owner",
    epoch=7,
    seq=41,
    committed_ms=5,
    outbox_commits=2,
    digest="ab",
    seen_s=100.0,
    state=DOCUMENT,
)
STANDBY = Health(shard=0, phase="standby", seen_s=100.0)


def _sources(health: Health = HEALTH, owner: str = "") -> ApiSources:
    return ApiSources(
        app="cluster",
        instance="here-1",
        clusters=("cluster",),
        health=lambda: (health,),
        document=lambda state: state,
        metrics=lambda: b"processor_x 1\n",
        now_s=lambda: 100.0,
        now_ms=lambda: 123,
        owner=lambda _shard: owner,
    )


def _get(target: str, health: Health = HEALTH) -> tuple[int, Any]:
    given = respond(_sources(health), target)
    return given.status, json.loads(given.body)


def test_probes_answer_in_words() -> None:
    assert respond(_sources(), "/livez").body == b"ok\n"
    assert respond(_sources(), "/readyz").status == 200
    paused = Health(shard=0, phase="owner", reason="etcd is away", seen_s=100.0)
    given = respond(_sources(paused), "/readyz")
    assert (given.status, given.body) == (503, b"shard 0 is owner: etcd is away\n")


def test_metrics_are_text() -> None:
    given = respond(_sources(), "/metrics")
    assert given.content_type.startswith("text/plain; version=0.0.4")
    assert given.body == b"processor_x 1\n"


def test_status_judges_every_shard() -> None:
    code, body = _get("/api/v1/status")
    assert code == 200
    assert (body["verdict"], body["cluster"], body["as_of_ms"]) == ("healthy", "cluster", 123)
    assert body["shards"] == [
        {
            "shard": 0,
            "cluster": "cluster",
            "status": "healthy",
            "phase": "owner",
            "reason": "",
            "owner": "here-1",
            "epoch": 7,
            "seq": 41,
            "digest": "ab",
            "last_commit_ms": 5,
            "outbox": 2,
        }
    ]


def test_the_whole_state_names_its_seq() -> None:
    assert _get("/api/v1/state") == (200, {"shard": 0, "seq": 41, "source": "live", "state": DOCUMENT})


@pytest.mark.parametrize("word", ["model", "models"])
def test_a_kind_is_listed_by_either_word(word: str) -> None:
    code, body = _get(f"/api/v1/state/{word}")
    assert (code, body["kind"], body["total"], list(body["items"])) == (200, "model", 2, ["ant", "iris"])


def test_an_entity_is_found_by_its_name_slashes_included() -> None:
    assert _get("/api/v1/state/models/iris")[1]["entity"] == {"generation": 2}
    assert _get("/api/v1/state/failures/model/iris")[1]["entity"] == {"code": "load_failed"}
    assert _get("/api/v1/state/responders/dataflow_engine%2Fe0")[1]["name"] == "dataflow_engine/e0"
    assert _get("/api/v1/state/policy/cluster")[1]["entity"] == {"retry_limit": 10}


@pytest.mark.parametrize(
    ("target", "code", "sentence"),
    [
        ("/api/v1/state/cats", 404, "there is no kind 'cats'"),
        ("/api/v1/state/models/none", 404, "there is no model 'none'"),
        ("/api/v1/state?shard=1", 404, "shard 1 is not owned by this process"),
        ("/api/v1/state?shard=one", 400, "shard is a number from 0 to 0, not 'one'"),
        ("/api/v1/state?shard=%C2%B2", 400, "not '²'"),
        ("/api/v1/state?shard=²", 400, "not '²'"),
        (f"/api/v1/state?shard={'9' * 5000}", 400, "not '999"),
        ("/api/v1/state?shard=-1", 400, "not '-1'"),
        ("/api/v1/state?shard=", 400, "not ''"),
        ("/api/v1/state?shard", 400, "not ''"),
        ("/api/v1/state?shard=0&shard=0", 400, "shard is given 2 times"),
        ("/api/v1/state?shard=999999", 404, "PROCESSOR_CLUSTERS makes shards 0 to 0"),
        ("/api/v1/state?at_seq=3", 400, "unknown query parameter 'at_seq': /api/v1/state takes shard"),
        ("/api/v1/state/models?q=x", 400, "unknown query parameter 'q': /api/v1/state/models takes shard"),
        ("/api/v1/status?shard=0", 400, "/api/v1/status takes none"),
        ("/livez?verbose", 400, "/livez takes none"),
        ("/readyz?exclude=kafka", 400, "/readyz takes none"),
        ("/metrics?name[]=x", 400, "/metrics takes none"),
        ("/livez?" + "&".join("abcdefghijklmnopqrstuvwxyz"), 400, "cannot be read"),
        ("http://[::/livez", 400, "cannot be read"),
        ("/", 404, "there is nothing at /"),
        ("/api/v2/state", 404, "there is nothing at /api/v2/state"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(target: str, code: int, sentence: str) -> None:
    given = respond(_sources(), target)
    body = json.loads(given.body)
    assert (given.status, given.content_type) == (code, "application/problem+json")
    assert (body["status"], body["title"], body["type"]) == (code, given.status.phrase, "about:blank")
    assert sentence in body["detail"]
    assert body["error"] == body["detail"], "as it was called before"
    assert len(body["detail"]) < 200


def test_a_standby_says_who_owns_the_shard() -> None:
    sources = _sources(STANDBY, owner="there-2")
    assert respond(sources, "/readyz").status == 200
    given = respond(sources, "/api/v1/state")
    body = json.loads(given.body)
    assert (given.status, body["owner"], body["shard"]) == (409, "there-2", 0)
    assert "there-2 owns it" in body["detail"]
    (shard,) = json.loads(respond(sources, "/api/v1/status").body)["shards"]
    assert (shard["owner"], shard["phase"], shard["status"]) == ("there-2", "standby", "healthy")
    assert {shard[name] for name in ("epoch", "seq", "digest", "last_commit_ms", "outbox")} == {None}


def test_a_shard_between_two_owners_is_to_be_asked_for_again() -> None:
    starting = Health(shard=0, phase="starting", epoch=8, reason="etcd: away", seen_s=100.0)
    given = respond(_sources(starting), "/api/v1/state")
    assert (given.status, dict(given.headers)) == (503, {"Retry-After": "1"})
    assert json.loads(given.body)["detail"].endswith("here it is starting: etcd: away")

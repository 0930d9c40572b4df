import json
from collections.abc import Mapping
from typing import Any

import pytest

from processor.engine.health import Health
from processor.service.api import Views, answer

DOCUMENT: Mapping[str, Any] = {
    "policy": {"retry_limit": 10},
    "servers": {},
    "responders": {"dataflow_engine/e0": {"role": "dataflow_engine"}},
    "models": {"iris": {"generation": 2}, "ant": {"generation": 1}},
    "pipelines": {},
    "experiments": {},
    "failures": {"model/iris": {"code": "load_failed"}},
}
HEALTH = Health(shard=0, phase="owner", epoch=7, seq=41, committed_ms=5, outbox_commits=2, digest="ab", seen_s=100.0)


def _views(health: Health = HEALTH) -> Views:
    return Views(
        app="cluster",
        instance="here-1",
        clusters=("cluster",),
        health=lambda: (health,),
        document=lambda shard: DOCUMENT if shard == 0 else None,
        metrics=lambda: b"processor_x 1\n",
        now_s=lambda: 100.0,
        now_ms=lambda: 123,
    )


def _get(target: str, health: Health = HEALTH) -> tuple[int, Any]:
    given = answer(_views(health), target)
    return given.status, json.loads(given.body)


def test_probes_answer_in_words() -> None:
    assert answer(_views(), "/livez").body == b"ok\n"
    assert answer(_views(), "/readyz").status == 200
    paused = Health(shard=0, phase="owner", reason="etcd is away", seen_s=100.0)
    given = answer(_views(paused), "/readyz")
    assert (given.status, given.body) == (503, b"shard 0 is owner: etcd is away\n")


def test_metrics_are_text() -> None:
    given = answer(_views(), "/metrics")
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
        ("/api/v1/state?shard=one", 400, "shard is a number"),
        ("/", 404, "there is nothing at /"),
        ("/api/v2/state", 404, "there is nothing at /api/v2/state"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(target: str, code: int, sentence: str) -> None:
    given, body = _get(target)
    assert given == code
    assert sentence in body["error"]

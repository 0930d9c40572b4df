"""One event that touches far more than one transaction can carry."""

import pytest

from tests.integration.play import Play, now_ms
from tests.integration.submitter import Line

MODELS = 1000
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("materialise", ["auto", "eager"])
def test_the_loss_of_a_replica_with_a_thousand_models_is_one_commit(play: Play, materialise: str) -> None:
    play.stage.start(ETCD__MATERIALISE=materialise)
    play.send([_connected(play, 0, MODELS * MEBIBYTE)])
    play.send([_loaded_model(play, number) for number in range(MODELS)])
    play.send([_connected(play, 1, MODELS * MEBIBYTE)])
    lost = {"server": "pool", "replica": 0, "reason": "connection lost"}
    play.send([_line(play, "high", "ServerReplicaDisconnected", lost)])
    artefacts = play.assert_whole()
    largest = max(artefacts.commits, key=lambda commit: int(commit.value["announcements"])).value
    assert [part["topic"] for part in largest["ranges"]] == [play.stage.topics["high"]]
    assert largest["changed"] == MODELS + 1
    announced = next(one for one in artefacts.changes if one.seq == largest["seq"])
    assert play.store.count("delta/", revision=int(announced.headers["processor-revision"])) > 0
    assert sum(key.startswith("model/") for key in artefacts.store.entities) == MODELS


def _loaded_model(play: Play, number: int) -> Line:
    spec = {"uri": f"s3://models/{number}", "memory": MEBIBYTE}
    return _line(play, "normal", "ModelLoadRequested", {"model": f"model-{number}", "spec": spec})


def _connected(play: Play, replica: int, memory: int) -> Line:
    return _line(play, "high", "ServerReplicaConnected", {"server": "pool", "replica": replica, "memory": memory})


def _line(play: Play, lane: str, name: str, data: object) -> Line:
    return Line(lane, play.reference.schemas.encode(f"processor.events.{name}", data), now_ms())  # type: ignore[arg-type]

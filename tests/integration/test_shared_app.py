"""Two deployments with one PROCESSOR_APP on one Kafka, each with a store of its own."""

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

APP = "shared"
EVENTS_MAX = 400
READY_AGAIN_S = 150.0
"""The other is thought to have stopped after a minute without a fencing."""

pytestmark = pytest.mark.slow


@pytest.fixture
def stages(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[tuple[Stage, Stage]]:
    """Two stages with topics and a prefix of their own: neither store knows of the other."""
    built = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        built.append(Stage(f"{namespace}-{name}", kafka.bootstrap, etcd.endpoint, tmp_path / name))
        built[-1].build()
    yield built[0], built[1]
    for stage in built:
        stage.strike()


def is_named(process: ProcessorProcess) -> bool:
    status, body = process.get("/readyz")
    return status != HTTPStatus.OK and "PROCESSOR_APP" in body


def test_who_fences_us_is_named_and_when_it_stops_all_goes_on(stages: tuple[Stage, Stage], namespace: str) -> None:
    app = f"{namespace}-{APP}"
    one, two = (stage.start(APP=app) for stage in stages)
    plays = [Play(stage) for stage in stages]
    for process in (one, two):
        process.wait_until_ready()
    traffics = [play.traffic(play.script(EVENTS_MAX), records_per_s=10.0) for play in plays]
    for traffic in traffics:
        traffic.allow(EVENTS_MAX)
    for process in (one, two):
        process.wait_for_log("output_fenced")
        told = process.logged("output_fenced")
        assert (len(told), told[0]["level"]) == (1, "warning")
        wait_until(partial(is_named, process), what="readiness names it")
        assert f"transactional.id {app}-0" in told[0]["reason"]
    assert two.terminate() == 0
    one.wait_until_ready(timeout_s=READY_AGAIN_S)
    traffics[0].wait_until_sent(EVENTS_MAX)
    plays[0].wait_until_consumed()
    assert one.get("/metrics")[1].count("processor_output_fencings{") == 1

"""One process of several is cut off from etcd, or from Kafka, and from nothing else: the others take its shards."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.integration.conftest import Note
from tests.integration.fleet import Fleet, fleet_on, moved
from tests.integration.processes import ProcessorProcess
from tests.integration.proxy import Proxy
from tests.integration.servers import OwnServer, kafka_behind_proxy
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka
from tests.waiting import wait_for

SHARDS = 4
EVENTS = 40

pytestmark = [pytest.mark.slow, pytest.mark.outages]


@contextmanager
def proxy_of(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    yield proxy
    proxy.close()


def live_through(fleet: Fleet, proxy: Proxy, *, name: str, **settings: str) -> str:
    """Cut one of three off, see its shards move and nothing else, and see it come back for its share."""
    alone, *others = fleet.start(**settings), fleet.start(), fleet.start()
    before = fleet.wait_until_shared([alone, *others])
    fleet.send(EVENTS)
    lost = fleet.owned_by(alone.name)
    proxy.refuse()
    began_s = time.monotonic()
    of_others = fleet.wait_until_shared(others)
    took_s = time.monotonic() - began_s
    assert moved(before, of_others) == lost
    reason = refusal(alone, name)
    fleet.send(EVENTS, seed=100)
    proxy.pass_on()
    fleet.wait_until_shared([alone, *others])
    alone.wait_until_ready()
    fleet.send(EVENTS, seed=200)
    fleet.assert_whole()
    return f"{len(lost)} shards owned by others {took_s:.1f} s after the cut; {reason}"


def refusal(process: ProcessorProcess, name: str) -> str:
    """Wait until a process is not ready for a reason with this name in it, and return the first line of it."""

    def said() -> str:
        code, text = process.get("/readyz")
        return text if code == HTTPStatus.SERVICE_UNAVAILABLE and name in text else ""

    return wait_for(said, bool, what=f"{name} is why {process.name} is not ready").splitlines()[0]


def test_from_etcd(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path, note: Note) -> None:
    stage = Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=SHARDS)
    with proxy_of(etcd.endpoint) as proxy, fleet_on(stage) as fleet:
        note(live_through(fleet, proxy, name="etcd", ETCD__ENDPOINTS=proxy.address))


def test_from_kafka(own_kafka: OwnServer, etcd: Etcd, namespace: str, tmp_path: Path, note: Note) -> None:
    with kafka_behind_proxy(own_kafka) as (server, proxy):
        stage = Stage(namespace, server.address, etcd.endpoint, tmp_path, shards=SHARDS)
        with fleet_on(stage) as fleet:
            bootstrap = proxy.address
            note(live_through(fleet, proxy, name="left to others", KAFKA__BOOTSTRAP_SERVERS=bootstrap))

"""An owner that keeps its lease and gets no answer from the output leaves its shard to a peer."""

import time
from pathlib import Path

import pytest

from tests.integration.conftest import Note
from tests.integration.fleet import fleet_on
from tests.integration.servers import OwnServer, kafka_behind_proxy
from tests.integration.stage import Stage
from tests.services import Etcd
from tests.waiting import wait_until

EVENTS = 400
PER_S = 100.0
STALL_TIMEOUT_S = "5"
"""Well above what a commit may take on a disk that is busy otherwise: the output is what shall stall here."""
MOVED_WITHIN_S = 60.0

pytestmark = pytest.mark.slow


def test_an_owner_whose_output_answers_no_more_leaves_its_shard_to_a_peer(
    own_kafka: OwnServer, etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    with kafka_behind_proxy(own_kafka) as (server, proxy):
        stage = Stage(namespace, server.address, etcd.endpoint, tmp_path)
        with fleet_on(stage) as fleet:
            owner = fleet.start(KAFKA__BOOTSTRAP_SERVERS=proxy.address, SHARDS__STALL_TIMEOUT_S=STALL_TIMEOUT_S)
            fleet.wait_until_shared([owner])
            peer = fleet.start()
            peer.wait_until_ready()
            fleet.begin(EVENTS, records_per_s=PER_S)
            wait_until(lambda: fleet.sent() > EVENTS / 4, what="events flow")
            proxy.swallow_replies()
            began_s = time.monotonic()
            left = owner.wait_for_log("shard_left_to_peers")
            left_s = time.monotonic() - began_s
            wait_until(lambda: fleet.owned_by(peer.name) == {0}, what="the peer owns it", timeout_s=MOVED_WITHIN_S)
            note(f"left to peers after {left_s:.1f} s, owned by the peer after {time.monotonic() - began_s:.1f} s")
            assert "nothing could be published" in left["reason"]
            assert owner.logged("ownership_lost") == [], "it was given up, not taken away"
            proxy.pass_on()
            owner.wait_until_ready()
            assert fleet.owned_by(peer.name) == {0}, "who came back does not take it away again"
            fleet.assert_whole()

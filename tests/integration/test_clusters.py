"""Three members each: one goes for good while events flow, and nobody has to be told."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from tests.integration.conftest import Note
from tests.integration.outage import RECORDS_PER_S, Witness, staged
from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess
from tests.integration.servers import MEMBERS, KafkaCluster, OwnServer, etcd_cluster, kafka_cluster, leads
from tests.integration.submitter import Line
from tests.local_servers import LocalServer
from tests.services import Etcd, Kafka

EVENTS = 900
WORDS_MAX = 12

pytestmark = pytest.mark.slow


def test_the_leader_of_three_etcd_members_is_killed_and_comes_back_as_a_follower(
    own_etcd: OwnServer, kafka: Kafka, namespace: str, tmp_path: Path, note: Note
) -> None:
    members = etcd_cluster(own_etcd)
    (leader,) = [member for member in members if leads(member)]
    rest = [member for member in members if member is not leader]
    with staged(namespace, kafka.bootstrap, rest[0].address, tmp_path) as play:
        processor = play.stage.start(ETCD__ENDPOINTS=",".join(member.address for member in members))
        note(survive(play, processor, play.script(EVENTS), leader))
        assert [leads(member) for member in rest].count(True) == 1
        play.assert_whole()


def test_the_broker_that_coordinates_our_transactions_is_killed(
    etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    with kafka_cluster(tmp_path) as cluster:
        name = name_coordinated_elsewhere(cluster, namespace)
        before = cluster.coordinator_of(f"{name}-0")
        with staged(name, cluster.bootstrap, etcd.endpoint, tmp_path, replicas=MEMBERS) as play:
            processor = play.stage.start()
            note(survive(play, processor, play.script(EVENTS), cluster.brokers[before], comes_back=False))
            assert cluster.coordinator_of(f"{name}-0") != before
            play.assert_whole()


def survive(
    play: Play, processor: ProcessorProcess, lines: Sequence[Line], victim: LocalServer, *, comes_back: bool = True
) -> str:
    """Kill a server while events flow; return what that cost and what was said."""
    part = len(lines) // 3
    traffic = play.traffic(lines, records_per_s=RECORDS_PER_S)
    traffic.allow(part)
    traffic.wait_until_sent(part)
    play.wait_until_consumed()
    traffic.allow(2 * part)
    traffic.wait_until_sent(part + part // 3)
    committed, witness = len(play.follower.commits), Witness(processor)
    victim.kill()
    assert play.unconsumed() > 0 or traffic.sent < 2 * part, "events were under way"
    traffic.wait_until_sent(2 * part)
    play.wait_until_consumed()
    passed_s = witness.passed_s()
    assert len(play.follower.commits) > committed
    if comes_back:
        victim.start()
    traffic.allow(len(lines))
    traffic.wait_until_sent(len(lines))
    play.wait_until_consumed()
    processor.wait_until_ready()
    words = witness.words()
    assert len(words) <= WORDS_MAX, words
    longest_s = max(
        (later - earlier) / 1000
        for earlier, later in zip(play.follower.arrivals_ms, play.follower.arrivals_ms[1:], strict=False)
    )
    return f"all consumed {passed_s:.1f} s after the kill, longest gap between commits {longest_s:.1f} s; {words}"


def name_coordinated_elsewhere(cluster: KafkaCluster, name: str) -> str:
    """Return an app whose transactions are not coordinated by node 1, which is the only controller."""
    candidates = (f"{name}-{number}" for number in count())
    return next(candidate for candidate in candidates if cluster.coordinator_of(f"{candidate}-0") != 1)

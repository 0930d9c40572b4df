"""What was done and never answered: a proxy lets requests through and drops the replies, or makes them late."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.checker.epochs import epochs_seen
from tests.integration.conftest import Note
from tests.integration.outage import Ordeal, live_through, staged
from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess
from tests.integration.proxy import Proxy
from tests.integration.servers import OwnServer, kafka_behind_proxy
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

EVENTS = 600
LONG_LEASE_S = "30"
"""Keeping it alive needs replies, too: longer than an outage here, so that the owner stays and settles by itself."""
END_TRANSACTION = 26
"""Kafka's number of the request that commits a transaction."""
LATE_MS = 1200
"""Each way: together longer than a commit is waited for."""
SLOW_MS = 50
SETTLED_WITHIN_S = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.outages]


@pytest.fixture
def etcd_proxy(etcd: Etcd) -> Iterator[Proxy]:
    proxy = Proxy(etcd.endpoint)
    yield proxy
    proxy.close()


@contextmanager
def behind(
    proxy: Proxy, kafka: Kafka, etcd: Etcd, name: str, directory: Path
) -> Iterator[tuple[Play, ProcessorProcess]]:
    """Give a play whose processor alone sees etcd through the proxy."""
    with staged(name, kafka.bootstrap, etcd.endpoint, directory) as play:
        yield play, play.stage.start(ETCD__ENDPOINTS=proxy.address, SHARDS__LEASE_TTL_S=LONG_LEASE_S)


def test_commits_that_etcd_applied_and_never_answered_are_settled_by_sending_the_same_again(
    etcd_proxy: Proxy, kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    with behind(etcd_proxy, kafka, etcd, namespace, tmp_path) as (play, processor):
        published: list[int] = []
        ordeal = Ordeal(
            begin=etcd_proxy.swallow_replies,
            end=etcd_proxy.pass_on,
            name="etcd",
            held=lambda: published.append(play.follower.commits[-1]["seq"]),
        )
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert etcd_proxy.swallowed_bytes > 0
        assert metric(processor, "processor_commit_ambiguous_total") > 0
        (unanswered,) = [commit for commit in play.follower.commits if commit["seq"] == published[0] + 1]
        assert unanswered["epoch"] == play.follower.commits[0]["epoch"]
        assert len(epochs_seen(play.assert_whole())) == 1


def test_etcd_answers_later_than_a_commit_is_waited_for_and_then_only_slowly(
    etcd_proxy: Proxy, kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    with behind(etcd_proxy, kafka, etcd, namespace, tmp_path) as (play, processor):
        ordeal = Ordeal(begin=partial(etcd_proxy.delay, LATE_MS), end=partial(etcd_proxy.delay, SLOW_MS), name="etcd")
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert metric(processor, "processor_commit_ambiguous_total") > 0
        assert len(epochs_seen(play.assert_whole())) == 1


def test_a_connection_to_etcd_that_breaks_again_and_again_costs_no_commit(
    etcd_proxy: Proxy, kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path
) -> None:
    with behind(etcd_proxy, kafka, etcd, namespace, tmp_path) as (play, processor):
        processor.wait_until_ready()
        traffic = play.traffic(play.script(EVENTS), records_per_s=200)
        traffic.allow(traffic.total)
        cuts = 0
        while traffic.sent < traffic.total:
            seen = traffic.sent
            etcd_proxy.cut()
            cuts += 1
            wait_until(lambda seen=seen: traffic.sent > seen, what="more is sent")  # type: ignore[misc] # bound now
        assert cuts > EVENTS // 100
        assert etcd_proxy.connections > cuts // 2
        assert len(epochs_seen(play.assert_whole())) == 1


def test_a_transaction_that_kafka_committed_and_never_answered_is_not_published_again(
    own_kafka: OwnServer, etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    with (
        kafka_behind_proxy(own_kafka) as (server, proxy),
        staged(namespace, server.address, etcd.endpoint, tmp_path) as play,
    ):
        processor = play.stage.start(KAFKA__BOOTSTRAP_SERVERS=proxy.address)

        def begin() -> None:
            proxy.swallow_replies_from(ends_a_transaction)
            wait_until(lambda: proxy.swallowed_bytes > 0, what="the end of a transaction is not answered")

        def held() -> None:
            wait_until(
                lambda: "output: Kafka" in processor.get("/readyz")[1],
                what="the processor takes the output for away",
                timeout_s=SETTLED_WITHIN_S,
            )
            told = json.loads(processor.get("/api/v1/status")[1])["shards"][0]
            announced_seq = told["seq"] - told["outbox"]
            assert play.follower.commits[-1]["seq"] > announced_seq, (
                "what it does not know to be published is published"
            )

        ordeal = Ordeal(
            begin=begin,
            end=proxy.pass_on,
            name="Kafka",
            word="service_away",
            held=held,
        )
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert len(epochs_seen(play.assert_whole())) == 1


def ends_a_transaction(chunk: bytes) -> bool:
    """Tell whether a request to Kafka (size, number of its kind, …) commits a transaction."""
    return int.from_bytes(chunk[4:6], "big") == END_TRANSACTION


def metric(processor: ProcessorProcess, name: str) -> float:
    """Return the value of a metric without labels."""
    (line,) = [line for line in processor.get("/metrics")[1].splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])

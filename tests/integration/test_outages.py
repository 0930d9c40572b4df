"""A server goes away for a while: the shard pauses, says why, loses nothing and goes on by itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.integration.conftest import Note
from tests.integration.filler import Filler
from tests.integration.outage import BACK_WITHIN_S, Ordeal, live_through, staged
from tests.integration.play import Play
from tests.local_servers import LocalServer
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

EVENTS = 600
QUOTA_BYTES = 64 << 20
PENDING_COMMITS_MAX = 5
BEYOND_PENDING = 3
"""The commit under way, the one reduced ahead, and what cannot be trimmed while nothing is committed."""
LEASE_S = "10"
"""Longer than who is asked to end may take where nobody answers: it must not wait for the lease to run out."""
AUTHORISING = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
)

pytestmark = [pytest.mark.slow, pytest.mark.outages]

OwnServer = Callable[..., LocalServer]


class Way(msgspec.Struct, frozen=True):
    """How a server goes and comes back."""

    go: Callable[[LocalServer], object]
    come: Callable[[LocalServer], object]


KILLED = Way(LocalServer.kill, LocalServer.start)
RESTARTED = Way(LocalServer.stop, LocalServer.start)
FROZEN = Way(LocalServer.pause, LocalServer.resume)


@pytest.mark.parametrize("way", [KILLED, FROZEN], ids=["killed", "frozen"])
def test_etcd_is_away(own_etcd: OwnServer, kafka: Kafka, namespace: str, tmp_path: Path, note: Note, way: Way) -> None:
    server = own_etcd()
    with staged(namespace, kafka.bootstrap, server.address, tmp_path) as play:
        ordeal = Ordeal(begin=partial(way.go, server), end=partial(way.come, server), name="etcd")
        live_through(play, play.stage.start(), play.script(EVENTS), ordeal, note)
        play.assert_whole()


@pytest.mark.parametrize("way", [KILLED, RESTARTED, FROZEN], ids=["killed", "restarted", "frozen"])
def test_kafka_is_away(own_kafka: OwnServer, etcd: Etcd, namespace: str, tmp_path: Path, note: Note, way: Way) -> None:
    server = own_kafka()
    with staged(namespace, server.address, etcd.endpoint, tmp_path) as play:
        ordeal = Ordeal(
            begin=partial(way.go, server),
            end=partial(way.come, server),
            name="Kafka",
            word="service_away",
            flows=False,
        )
        live_through(play, play.stage.start(), play.script(EVENTS), ordeal, note)
        play.assert_whole()


def test_etcd_is_full_until_somebody_makes_room(
    own_etcd: OwnServer, kafka: Kafka, namespace: str, tmp_path: Path, note: Note
) -> None:
    server = own_etcd(f"--quota-backend-bytes={QUOTA_BYTES}")
    with staged(namespace, kafka.bootstrap, server.address, tmp_path) as play, Filler(server.address) as filler:
        processor = play.stage.start(ETCD__QUOTA_PAUSE_RATIO="1")
        ordeal = Ordeal(begin=filler.fill, end=filler.make_room, name="database space exceeded")
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert filler.alarms_seen == {"NOSPACE"}
        play.assert_whole()


def test_etcd_is_almost_full_and_commits_pause_before_its_alarm_does_it(
    own_etcd: OwnServer, kafka: Kafka, namespace: str, tmp_path: Path, note: Note
) -> None:
    server = own_etcd(f"--quota-backend-bytes={QUOTA_BYTES}")
    with staged(namespace, kafka.bootstrap, server.address, tmp_path) as play, Filler(server.address) as filler:
        processor = play.stage.start(ETCD__QUOTA_PAUSE_RATIO="0.5", ETCD__COMPACT_INTERVAL_S="0.2")
        ordeal = Ordeal(begin=partial(filler.fill, share=0.7), end=filler.make_room, name="of its quota")
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert filler.alarms_seen == set()
        play.assert_whole()


def test_the_output_takes_nothing_and_what_is_committed_meanwhile_is_bounded(
    own_kafka: OwnServer, etcd: Etcd, namespace: str, tmp_path: Path, note: Note
) -> None:
    server = own_kafka(*AUTHORISING)
    with staged(namespace, server.address, etcd.endpoint, tmp_path) as play:
        processor = play.stage.start(PUBLISH__PENDING_COMMITS_MAX=str(PENDING_COMMITS_MAX))
        waiting: list[int] = []
        ordeal = Ordeal(
            begin=partial(_forbid_writing, play),
            end=partial(_forget_who_may_what, play),
            name="the output is behind",
            word="service_away",
            held=lambda: waiting.append(play.store.count("outbox/")),
        )
        live_through(play, processor, play.script(EVENTS), ordeal, note)
        assert PENDING_COMMITS_MAX <= waiting[0] <= PENDING_COMMITS_MAX + BEYOND_PENDING
        (away,) = processor.logged("service_away")
        assert "TOPIC_AUTHORIZATION_FAILED" in away["reason"]
        assert len(processor.logged("service_back")) == 1
        play.assert_whole()


@pytest.mark.parametrize("way", [KILLED, FROZEN], ids=["killed", "frozen"])
@pytest.mark.parametrize("service", ["etcd", "kafka"])
def test_who_is_asked_to_end_while_a_service_is_away_does_so_and_the_next_one_finds_everything(
    own_kafka: OwnServer,
    own_etcd: OwnServer,
    namespace: str,
    tmp_path: Path,
    service: str,
    way: Way,
) -> None:
    servers = {"kafka": own_kafka(), "etcd": own_etcd()}
    with staged(namespace, servers["kafka"].address, servers["etcd"].address, tmp_path) as play:
        processor = play.stage.start(SHARDS__LEASE_TTL_S=LEASE_S)
        lines = play.script(EVENTS)
        play.send(lines[: EVENTS // 3])
        traffic = play.traffic(lines[EVENTS // 3 :], records_per_s=300)
        traffic.allow(traffic.total)
        wait_until(lambda: play.unconsumed() > 0, what="events are under way")
        way.go(servers[service])
        assert processor.terminate() == 0
        way.come(servers[service])
        play.stage.start(SHARDS__LEASE_TTL_S=LEASE_S).wait_until_ready(timeout_s=BACK_WITHIN_S)
        traffic.wait_until_sent(traffic.total)
        play.assert_whole()


def _forbid_writing(play: Play) -> None:
    """Let nobody write to the changes; with a rule for a topic, what nobody is allowed is forbidden."""
    name = play.stage.topics["changes"]

    def rule(operation: AclOperation, permission: AclPermissionType) -> AclBinding:
        pattern = (ResourceType.TOPIC, name, ResourcePatternType.LITERAL)
        return AclBinding(*pattern, "User:ANONYMOUS", "*", operation, permission)

    rules = [rule(AclOperation.ALL, AclPermissionType.ALLOW), rule(AclOperation.WRITE, AclPermissionType.DENY)]
    admin = _admin(play)  # what it was asked ends with it
    for answer in admin.create_acls(rules).values():
        answer.result(BACK_WITHIN_S)


def _forget_who_may_what(play: Play) -> None:
    anything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    admin = _admin(play)
    for answer in admin.delete_acls([anything]).values():
        assert len(answer.result(BACK_WITHIN_S)) == 2


def _admin(play: Play) -> AdminClient:
    return AdminClient({"bootstrap.servers": play.stage.bootstrap})

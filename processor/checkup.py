"""The checks of `processor doctor`: each answers one question about what the processor stands on."""

import time
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from processor.avro.catalogue import Catalogue
from processor.backends import TopicNames, kafka_connection
from processor.cluster.machine import ClusterMachine
from processor.engine.errors import ProcessorError, Retry, ShardRefused
from processor.engine.recovery import check_versions
from processor.etcd.client import EtcdClient
from processor.etcd.limits import check_limits
from processor.etcd.transaction import Limits
from processor.inspection import ShardView, input_facts, shard_views, store_client
from processor.kafka.admin import TopicsAdmin, TopicSpec
from processor.kafka.recognition import recognised
from processor.settings import Settings
from processor.topics import Topics

Verdict = Literal["ok", "warning", "failed", "unreachable"]
SLOW_ANSWER_MS = 100


class Check(msgspec.Struct, frozen=True):
    """One question and its answer."""

    check: str
    verdict: Verdict
    detail: str


def check_up(settings: Settings, topics: Topics, specs: list[TopicSpec]) -> Iterator[Check]:
    """Yield every check, one after another; a server that is away does not hide the other."""
    yield from _guarded("schemas", lambda: _schemas(settings, topics))
    yield from _guarded("kafka", lambda: _kafka(settings, specs))
    yield from _guarded("etcd", lambda: _etcd(settings, {role: topic.name for role, topic in topics.by_role.items()}))


def _guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from checks()
    except Retry as error:
        yield Check(name, "unreachable", str(error))
    except ProcessorError as error:
        yield Check(name, "failed", str(error))


def _schemas(settings: Settings, topics: Topics) -> Iterator[Check]:
    catalogue = Catalogue.load(settings.schemas_dir)
    known = {name.rpartition(".")[2] for name in catalogue.current}
    carried = {name for topic in topics.by_role.values() for name in topic.schemas}
    if missing := carried - known:
        yield Check("schemas", "failed", f"{settings.topics_file} names {', '.join(sorted(missing))}: no such schema")
    else:
        yield Check("schemas", "ok", f"{len(catalogue.current)} schemas, all that the topics carry")


def _kafka(settings: Settings, specs: list[TopicSpec]) -> Iterator[Check]:
    began_s = time.monotonic()
    connection = recognised(kafka_connection(settings))
    answered_ms = round((time.monotonic() - began_s) * 1000)
    where = f"{connection.bootstrap_servers} answers in {answered_ms} ms"
    if connection.embedded:
        yield Check("kafka", "warning", f"{where}; it is an embedded broker, which has no admin API")
        return
    yield Check("kafka", "ok", where)
    differences = TopicsAdmin(connection).plan(specs)
    for difference in differences:
        yield Check("topics", "failed", str(difference))
    if not differences:
        yield Check("topics", "ok", f"all {len(specs)} topics are as {settings.topics_file} has them")


def _etcd(settings: Settings, topics: TopicNames) -> Iterator[Check]:
    with store_client(settings) as client:
        began_s = time.monotonic()
        client.ping()
        answered_ms = round((time.monotonic() - began_s) * 1000)
        verdict: Verdict = "warning" if answered_ms > SLOW_ANSWER_MS else "ok"
        where = ", ".join(settings.etcd.endpoints)
        yield Check(
            "etcd", verdict, f"{where}: version {client.status().version}, a quorum answers in {answered_ms} ms"
        )
        yield from _guarded("etcd limits", lambda: _limits(client, settings))
        yield from _space(client, settings)
        for view in shard_views(client, settings):
            yield from _guarded(f"shard {view.shard}", lambda view=view: _shard(view, settings, topics))  # type: ignore[misc]


def _limits(client: EtcdClient, settings: Settings) -> Iterator[Check]:
    limits = Limits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
    check_limits(client, limits)
    yield Check(
        "etcd limits", "ok", f"takes {settings.etcd.txn_ops_max} operations and {settings.etcd.request_bytes_max} bytes"
    )


def _space(client: EtcdClient, settings: Settings) -> Iterator[Check]:
    alarms, status = client.alarms(), client.status()
    if alarms:
        yield Check("etcd alarms", "failed", f"{', '.join(alarms)}: free space, then disarm (etcdctl alarm disarm)")
    if not status.quota_bytes:
        return
    used = status.size_in_use_bytes / status.quota_bytes
    verdict: Verdict = "failed" if used > settings.etcd.quota_pause_ratio else "ok"
    quota_mib = status.quota_bytes >> 20
    yield Check("etcd space", verdict, f"{status.size_in_use_bytes / (1 << 20):.1f} of {quota_mib} MiB ({used:.1%})")


def _shard(view: ShardView, settings: Settings, topics: TopicNames) -> Iterator[Check]:
    name = f"shard {view.shard}"
    if view.head is None:
        yield Check(name, "warning", "has never run")
        return
    check_versions(view.head, reducer_version=ClusterMachine().version)
    facts = input_facts(settings, topics, view.shard)
    for topic, topic_id in view.head.topics.items():
        if facts.topic_ids.get(topic, topic_id) != topic_id:
            raise ShardRefused(f"{topic} was made anew: its id is {facts.topic_ids[topic]}, the head says {topic_id}")
    for (topic, partition), extent in facts.inputs.items():
        position = view.head.positions.get(topic, {}).get(partition, extent.low)
        if not extent.low <= position <= extent.high:
            hole = f"holds {extent.low} to {extent.high}, the head is at {position}"
            raise ShardRefused(f"{topic}[{partition}] {hole}: records are gone")
    owner = f"owned by {view.owner.instance}" if view.owner else "owned by nobody"
    yield Check(name, "ok" if view.owner else "warning", f"{owner}, at seq {view.head.seq}")

"""The checks of `processor doctor`: each answers one question about what a processor depends on.

Nothing is owned or written, so that they may run beside processors at any time. The order is that of dependence:

1. the schemas, which need no server
2. Kafka: it answers, its security, transactions, rights, and the topics as they should be
3. etcd: a quorum answers, each member, limits, alarms, space
4. the clock, compared with the newest commits and records
5. each shard: what the next owner would check when it takes over (`shard_checks`)

A check that fails does not end the others: `guarded` turns what it raises into a verdict of its own. What needs a
server that does not answer is `not looked at`, because each attempt would wait for that server once more. Shards live
in etcd, and so are not looked at without it; without Kafka only their state is.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

from processor.admin.shard_checks import Check, Verdict, clock, examine, guarded
from processor.admin.shards import shard_views
from processor.assembly.connections import etcd_access, group_of, kafka_connection, shard_topics, store_client
from processor.avro.catalogue import Catalogue
from processor.configuration import kafka_security
from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames, Topics
from processor.engine.errors import StoreDenied
from processor.etcd import diagnosis
from processor.etcd.client import EtcdClient
from processor.etcd.limits import Limits, check_limits
from processor.kafka.admin import Action, CreateTopic, Impossible, TopicsAdmin, TopicSpec
from processor.kafka.brokers import refused_transactions
from processor.kafka.connection import KafkaConnection
from processor.kafka.recognition import recognised
from processor.kafka.rights import Right, lacking, missing_rights, shard_rights
from processor.runtime.addresses import parse

SLOW_ANSWER_MS = 100
ANSWER_TIMEOUT_S = 5.0


def check_up(settings: Settings, topics: Topics, specs: list[TopicSpec]) -> Iterator[Check]:
    """Yield every check in the order above."""
    yield from guarded("schemas", lambda: _schemas(settings, topics))
    names = {role: topic.name for role, topic in topics.by_role.items()}
    brokers = _Brokers(settings, names, specs)
    yield from guarded("kafka", brokers.check)
    reached = False
    for check in guarded("etcd", lambda: _etcd(settings, names, no_brokers=brokers.missing)):
        yield check
        reached = reached or check.verdict != "unreachable"
    if not reached:
        yield Check("shards", "not looked at", "etcd does not answer")


def _schemas(settings: Settings, topics: Topics) -> Iterator[Check]:
    catalogue = Catalogue.load(settings.schemas_dir)
    known = {name.rpartition(".")[2] for name in catalogue.current}
    carried = {name for topic in topics.by_role.values() for name in topic.schemas}
    if missing := carried - known:
        yield Check("schemas", "failed", f"{settings.topics_file} names {', '.join(sorted(missing))}: no such schema")
    else:
        yield Check("schemas", "ok", f"{len(catalogue.current)} schemas, all that the topics carry")


class _Brokers:
    """The checks of Kafka. Afterwards `missing` says why shards cannot be compared with topics, "" if they can."""

    def __init__(self, settings: Settings, topics: TopicNames, specs: list[TopicSpec]) -> None:
        self._settings = settings
        self._topics = topics
        self._specs = specs
        self.missing = "Kafka does not answer"

    def check(self) -> Iterator[Check]:
        """Yield the checks of the brokers and the topics."""
        began_s = time.monotonic()
        connection = recognised(kafka_connection(self._settings))
        answered_ms = round((time.monotonic() - began_s) * 1000)
        where = f"{connection.bootstrap_servers} answers in {answered_ms} ms"
        if connection.embedded:
            self.missing = "an embedded broker does not belong to what is in etcd"
            yield Check("kafka", "warning", f"{where}; it is an embedded broker, which has no admin API")
            return
        yield Check("kafka", "ok", where)
        for weakness in kafka_security.weaknesses(self._settings.kafka.properties()):
            yield Check("kafka security", "warning", weakness)
        if self._settings.publish.mode == "transactional":
            yield from guarded("transactions", lambda: _transactions(connection))
        yield from guarded("kafka rights", lambda: self._check_rights(connection))
        yield from self._check_topics(connection)

    def _check_rights(self, connection: KafkaConnection) -> Iterator[Check]:
        """Check a processor's rights. Whether it may use its transactional ids shows only when it uses them."""
        settings, needed = self._settings, [Right("GROUP", group_of(self._settings), "READ")]
        for shard in range(len(settings.clusters)):
            topics = shard_topics(self._topics, inputs=(shard,), output=shard, ticked=settings.clock.enabled)
            needed += shard_rights(topics, f"{settings.app}-{shard}")
        missing = missing_rights(connection, list(dict.fromkeys(needed)), timeout_s=ANSWER_TIMEOUT_S)
        if missing:
            yield Check("kafka rights", "failed", lacking(connection, missing))
        else:
            yield Check("kafka rights", "ok", f"{connection.principal} may read and write what a processor does")

    def _check_topics(self, connection: KafkaConnection) -> Iterator[Check]:
        needed = [Right("TOPIC", spec.name, "DESCRIBE_CONFIGS") for spec in self._specs]
        hidden = {right.name for right in missing_rights(connection, needed, timeout_s=ANSWER_TIMEOUT_S)}
        seen = [spec for spec in self._specs if spec.name not in hidden]
        if hidden:
            what = f"the settings of {', '.join(sorted(hidden))} cannot be compared: {connection.principal} lacks "
            why = "DESCRIBE_CONFIGS, which a processor does not need there: an operator does (processor acls operator)"
            yield Check("topics", "warning", what + why)
        differences = TopicsAdmin(connection, timeout_s=ANSWER_TIMEOUT_S).plan(seen)
        absent = [difference.spec.name for difference in differences if isinstance(difference, CreateTopic)]
        self.missing = f"without topics: {', '.join(absent)}" if absent else ""
        for difference in differences:
            yield Check("topics", "failed", _advised(difference))
        if seen and not differences:
            every = "all " if not hidden else ""
            yield Check("topics", "ok", f"{every}{len(seen)} topics are as {self._settings.topics_file} has them")


def _advised(difference: Action) -> str:
    """Return a difference with the command that removes it, where there is one."""
    match difference:
        case CreateTopic(spec=spec):
            return f"topic {spec.name} does not exist; create it with: processor topics apply"
        case Impossible():
            return str(difference)
        case _:
            return f"topic {difference}; set it with: processor topics apply"


def _transactions(connection: KafkaConnection) -> Iterator[Check]:
    refused = refused_transactions(connection)
    if refused is None:
        told = (
            "the brokers do not tell their limit: DESCRIBE_CONFIGS on the cluster is missing, which nothing else needs"
        )
        yield Check("transactions", "warning", told)
    elif refused:
        yield Check("transactions", "failed", refused)
    else:
        yield Check("transactions", "ok", "the brokers take transactions as long as ours")


def _etcd(settings: Settings, topics: TopicNames, *, no_brokers: str) -> Iterator[Check]:
    with store_client(settings) as client:
        client.ping()  # connects and authenticates, which takes longer
        began_s = time.monotonic()
        client.ping()
        answered_ms = round((time.monotonic() - began_s) * 1000)
        verdict: Verdict = "warning" if answered_ms > SLOW_ANSWER_MS else "ok"
        yield Check("etcd", verdict, f"{', '.join(settings.etcd.endpoints)}: a quorum answers in {answered_ms} ms")
        yield from _members(settings)
        yield from guarded("etcd limits", lambda: _limits(client, settings))
        for name, check in (("etcd alarms", _alarms), ("etcd space", _space)):
            yield from _unless_denied(name, partial(check, client, settings))
        views = shard_views(client, settings)
        if no_brokers:
            yield Check("clock", "not looked at", no_brokers)
        else:
            yield from guarded("clock", lambda: clock(settings, topics, views))
        for view in views:
            yield from examine(view, settings, topics, no_brokers=no_brokers)


def _members(settings: Settings) -> Iterator[Check]:
    """Ask each endpoint by itself: round robin silently skips a member that is down."""
    access = etcd_access(settings)
    if len(access.endpoints) == 1:
        return
    for endpoint in access.endpoints:
        if cause := diagnosis.cause_of_member(parse(endpoint), access):
            yield Check("etcd member", "warning", f"{endpoint} {cause}; the others answer")


def _unless_denied(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield the checks. A missing right to ask is only a warning: the processor does not need it."""
    try:
        yield from checks()
    except StoreDenied as error:
        yield Check(name, "warning", f"not known, etcd does not let us ask: {error}")


def _limits(client: EtcdClient, settings: Settings) -> Iterator[Check]:
    limits = Limits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
    check_limits(client, limits)
    yield Check(
        "etcd limits", "ok", f"takes {settings.etcd.txn_ops_max} operations and {settings.etcd.request_bytes_max} bytes"
    )


def _alarms(client: EtcdClient, settings: Settings) -> Iterator[Check]:
    del settings
    if alarms := client.alarms():
        yield Check("etcd alarms", "failed", f"{', '.join(alarms)}: free space, then disarm (etcdctl alarm disarm)")


def _space(client: EtcdClient, settings: Settings) -> Iterator[Check]:
    status = client.status()
    yield Check("etcd version", "ok", status.version)
    if not status.quota_bytes:
        return
    used = status.size_in_use_bytes / status.quota_bytes
    verdict: Verdict = "failed" if used > settings.etcd.quota_pause_ratio else "ok"
    quota_mib = status.quota_bytes >> 20
    yield Check("etcd space", verdict, f"{status.size_in_use_bytes / (1 << 20):.1f} of {quota_mib} MiB ({used:.1%})")

"""One run under test: what is sent, what is read along the way, and the verdict afterwards."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processor.engine.inputs import Record
from tests.checker.artefacts import Artefacts, dead_letter, published
from tests.checker.dumping import write
from tests.checker.reference import cluster_reference
from tests.checker.verdict import assert_whole
from tests.integration.kafka_reader import Follower, dump
from tests.integration.script import script
from tests.integration.stage import Stage
from tests.integration.submitter import Line, Submitter, Traffic
from tests.waiting import wait_for, wait_until

SETTLE_TIMEOUT_S = 180.0
OUTPUTS = ("changes", "commits", "dead-letters")


class Play:
    """The outside of one running shard: producer, consumer, checker."""

    def __init__(self, stage: Stage, *, shard: int = 0) -> None:
        self.stage = stage
        self.shard = shard
        self.reference = cluster_reference()
        self.submitter = Submitter(stage.bootstrap, stage.topics, shard=shard)
        self.follower = Follower(stage.bootstrap, stage.topics, self.reference.schemas, shard=shard)
        self.store = stage.store_of(shard)
        self._traffic: list[Traffic] = []
        self._gone: list[Record] = []

    def script(self, count: int, *, seed: int = 1) -> list[Line]:
        """Return a life of the cluster that begins now."""
        key = self.stage.clusters[self.shard].encode()
        lines = script(seed, count, now_ms=now_ms(), schemas=self.reference.schemas)
        return [replace(line, key=key) for line in lines]

    def traffic(self, lines: Sequence[Line], *, records_per_s: float) -> Traffic:
        """Return lines that a thread sends as far as the test allows."""
        traffic = Traffic(self.submitter, lines, records_per_s=records_per_s)
        self._traffic.append(traffic)
        return traffic

    def send(self, lines: Iterable[Line]) -> None:
        """Send lines and wait until the commit log has passed them."""
        self.submitter.send(lines)
        self.wait_until_consumed()

    def wait_until_consumed(self, *, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until the commit log has passed everything that was acknowledged."""
        last: dict[str, int] = {}
        for topic, _, offset in self.submitter.acknowledged:
            last[topic] = max(offset, last.get(topic, -1))
        wait_until(
            lambda: all(self.follower.consumed(topic) > offset for topic, offset in last.items()),
            what=f"the commit log has passed {last}",
            timeout_s=timeout_s,
        )

    def wait_for_epochs(self, count: int, *, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until so many owners have committed."""
        what = f"{count} owners have committed"
        wait_until(lambda: len(self.follower.epochs) == count, what=what, timeout_s=timeout_s)

    def wait_for_commit(self, kind: str) -> dict[str, Any]:
        """Wait until a commit of this kind is in the commit log, and return it."""
        what = f"a {kind} is committed"
        return wait_for(lambda: self.commits_of(kind), bool, what=what, timeout_s=SETTLE_TIMEOUT_S)[0]

    def commits_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the commits of a kind so far."""
        return [commit for commit in list(self.follower.commits) if commit["kind"] == kind]

    def unconsumed(self) -> int:
        """Return how many acknowledged records the commit log has not passed yet."""
        acknowledged = list(self.submitter.acknowledged)
        return sum(offset >= self.follower.consumed(topic) for topic, _, offset in acknowledged)

    def wait_until_consumed_of(self, topic: str, position: int) -> None:
        """Wait until the commit log has reached a position of one topic."""
        what = f"the commit log is at {position} of {topic}"
        wait_until(lambda: self.follower.consumed(topic) >= position, what=what, timeout_s=SETTLE_TIMEOUT_S)

    def wait_until_quiet(self) -> None:
        """Wait until nothing waits in the store either."""
        self.wait_until_consumed()
        wait_until(self.store.is_quiet, what="outbox and deltas are gone", timeout_s=SETTLE_TIMEOUT_S)

    def assert_whole(self) -> Artefacts:
        """Wait until all is quiet, end the processors, and judge what they left behind.

        It stands in the stage's directory, for `python -m tests.checker`.
        """
        self.wait_until_quiet()
        for process in self.stage.processes:
            if process.exit_code is None:
                assert process.terminate() == 0, process.log[-3000:]
        artefacts = self.artefacts()
        offsets = {published.record.offset for published in artefacts.changes}
        wait_until(
            lambda: {record.offset for record in self.follower.changes} >= offsets,
            what="the consumer that reads along has read all",
        )
        watched = [published(record, self.reference.schemas) for record in list(self.follower.changes)]
        write(artefacts, self.stage.directory, f"shard-{self.shard}", watched=watched)
        assert_whole(artefacts, self.reference, watched=watched)
        return artefacts

    def cut(self, topic: str, low: int) -> None:
        """Delete an input's records below an offset, as retention does; those read before are still judged by."""
        position = self.store.dump().position(topic, self.shard)
        read = dump(self.stage.bootstrap, topic, self.shard)
        self._gone += [record for record in read if record.offset < min(low, position)]
        admin: Any = AdminClient({"bootstrap.servers": self.stage.bootstrap})
        for answer in admin.delete_records([TopicPartition(topic, self.shard, low)]).values():
            answer.result(SETTLE_TIMEOUT_S)

    def artefacts(self) -> Artefacts:
        """Return everything that the run has left behind so far."""
        schemas, topics = self.reference.schemas, self.stage.topics

        def read(role: str, *, isolation: str = "read_committed") -> list[Record]:
            return dump(self.stage.bootstrap, topics[role], self.shard, isolation=isolation)

        return Artefacts(
            inputs=(*self._gone, *read("high"), *read("normal")),
            commits=tuple(published(record, schemas) for record in read("commits")),
            changes=tuple(published(record, schemas) for record in read("changes")),
            dead_letters=tuple(dead_letter(record) for record in read("dead-letters")),
            store=self.store.dump(),
            acknowledged=tuple(self.submitter.acknowledged),
            acknowledged_ms=dict(self.submitter.acknowledged_ms),
            raw=tuple(record for role in OUTPUTS for record in read(role, isolation="read_uncommitted")),
        )

    def close(self) -> None:
        """Stop reading and sending."""
        for traffic in self._traffic:
            traffic.close()
        self.follower.close()
        self.store.close()


def outcomes(artefacts: Artefacts) -> Counter[str]:
    """Return how many records had which outcome."""
    counted: Counter[str] = Counter()
    for commit in artefacts.commits:
        for run in commit.value["outcomes"]:
            counted[run["outcome"]] += run["count"]
    return counted


def now_ms() -> int:
    """Return the time, in ms."""
    return time.time_ns() // 1_000_000

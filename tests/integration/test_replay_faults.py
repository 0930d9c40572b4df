"""Copies of real topics with one byte flipped or a record left out: what a replay says of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from processor.avro.catalogue import Catalogue
from processor.configuration.loading import load
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record
from processor.history.commit_log import Log
from processor.kafka.connection import KafkaConnection
from processor.replay.announcements import AnnouncementVerifier
from processor.replay.fold import Build
from processor.replay.recording import AnnouncementLog
from processor.replay.replaying import Step, replay_to
from processor.replay.sources import Sources
from processor.replay.verifying import Finding, Verifier
from processor.replay.wiring import cluster_build, cluster_sources
from tests.integration.kafka_reader import dump
from tests.integration.play import Play
from tests.replay.shard import Topic

EVENTS = 300
ANSWER_TIMEOUT_S = 30.0
DIGEST_BYTES = 16


class Copies:
    """The topics of a life that has ended, some of them as altered copies."""

    def __init__(self, play: Play) -> None:
        self._stage = play.stage
        self._copied: dict[str, str] = {}
        self._held: dict[str, Topic] = {}
        self._count = 0
        settings = load(environment=play.stage.environment()).settings
        catalogue = Catalogue.load(settings.schemas_dir)
        topics: Any = dict(play.stage.topics)
        self._sources = cluster_sources(KafkaConnection(play.stage.bootstrap), topics, catalogue, shard=0)
        self._build: Build = cluster_build(settings, catalogue)

    def records(self, role: str) -> list[Record]:
        """Return what a topic has."""
        return dump(self._stage.bootstrap, self._stage.topics[role])

    def put(self, role: str, records: Sequence[Record]) -> None:
        """Let a topic be these records: an output is a topic again, an input keeps its offsets."""
        if role in {"high", "normal"}:
            self._held[self._stage.topics[role]] = Topic(list(records), 0, records[-1].offset + 1)
            return
        self._count += 1
        name = f"{self._stage.topics[role]}.copy-{self._count}"
        admin: Any = AdminClient({"bootstrap.servers": self._stage.bootstrap})
        admin.create_topics([NewTopic(name, 1, 1, config={"retention.ms": "-1"})])[name].result(ANSWER_TIMEOUT_S)
        producer = Producer({"bootstrap.servers": self._stage.bootstrap})
        for record in records:
            producer.produce(
                name,
                record.value or b"",
                record.key or b"",
                0,
                timestamp=record.timestamp_ms,
                headers=list(record.headers),
            )
        assert producer.flush(ANSWER_TIMEOUT_S) == 0
        self._copied[self._stage.topics[role]] = name

    def forget(self) -> None:
        """Let all topics be as they are."""
        self._copied.clear()
        self._held.clear()

    def findings(self) -> Sequence[Finding]:
        """Verify everything. Raises what a replay raises."""
        sources = self._sources
        copied: Sources = msgspec.structs.replace(sources, open=self._open)
        verifier = Verifier()
        changes = sources.topics["changes"]
        with copied.open(changes, 0) as log:
            announced = AnnouncementLog(log, (changes, 0)).of
            told = AnnouncementVerifier(self._stage.name, self._build.encoder, announced, verifier.find, trimmed=False)

            def watch(step: Step) -> None:
                verifier(step)
                told(step)

            replay_to(copied, self._build, watch=watch)
        return verifier.findings

    def _open(self, topic: str, partition: int) -> AbstractContextManager[Log]:
        if topic in self._held:
            return nullcontext(self._held[topic])
        return self._sources.open(self._copied.get(topic, topic), partition)


@pytest.fixture
def copies(play: Play) -> Copies:
    process = play.stage.start(BATCH__EVENTS_MAX="20")
    play.send(play.script(EVENTS))
    play.wait_until_quiet()
    assert process.terminate() == 0
    return Copies(play)


def _flipped(records: list[Record], at: int, byte: int = -1) -> list[Record]:
    value = bytearray(records[at].value or b"")
    value[byte] ^= 1
    return [*records[:at], msgspec.structs.replace(records[at], value=bytes(value)), *records[at + 1 :]]


def _with_another_past(records: list[Record], at: int) -> list[Record]:
    """Flip a byte of a commit's previous digest: the last bytes that it shares with the commit before."""
    value, before = (records[number].value or b"" for number in (at, at - 1))
    starts = range(len(value) - DIGEST_BYTES, -1, -1)
    start = next(start for start in starts if value[start : start + DIGEST_BYTES] in before)
    return _flipped(records, at, byte=start)


def _without(records: list[Record], at: int) -> list[Record]:
    return records[:at] + records[at + 1 :]


def test_whole_copies_are_as_good_as_the_topics(copies: Copies) -> None:
    for role in ("high", "normal", "commits", "changes"):
        copies.put(role, copies.records(role))
    assert copies.findings() == []


Alter = Callable[[list[Record]], list[Record]]
FAULTS: list[tuple[str, Alter, str]] = [
    ("normal", lambda records: _flipped(records, 0), "digest: recorded "),
    ("commits", lambda records: _with_another_past(records, 2), "built on digest"),
    ("commits", lambda records: _without(records, 1), "2 is missing"),
    ("changes", lambda records: _flipped(records, 1), "the fold gives"),
    ("changes", lambda records: _without(records, 1), "announcements"),
    ("normal", lambda records: records[:-1], "of them are there"),
]


def test_each_fault_is_found_and_named(copies: Copies) -> None:
    for role, alter, said in FAULTS:
        copies.forget()
        copies.put(role, alter(copies.records(role)))
        told = _told(copies)
        assert any(said in sentence for sentence in told), (role, said, told)


def _told(copies: Copies) -> list[str]:
    try:
        return [f"commit {finding.seq}: {finding.what}: {finding.message}" for finding in copies.findings()]
    except InvalidRequest as error:
        return [str(error)]

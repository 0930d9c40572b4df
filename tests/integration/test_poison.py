"""Every kind of hostile record on real servers: what becomes of it, and that the good ones around it are applied."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checker.artefacts import Artefacts, RecordId
from tests.checker.dead_letters import CODES, origin_of
from tests.integration.conftest import Note
from tests.integration.play import Play, now_ms
from tests.integration.stage import Stage
from tests.integration.submitter import Line
from tests.poison.catalogue import CATALOGUE
from tests.poison.documents import JSON
from tests.poison.kinds import ACCEPTED, EVENTS, NO_TIMESTAMP_MS, Poison, encoded, load
from tests.services import Etcd, Kafka

MEMORY_KIB_MAX = 1024 * 1024
REJECTED = "EventRejected"
# Every other event is a dead letter: the breaker is not what this is about.
PATIENT = {"DEAD_LETTERS__MAX_RATIO": "1", "DEAD_LETTERS__MAX_CONSECUTIVE": "1000", "CLOCK__ENABLED": "false"}
LARGEST_INPUT_BYTES = 1_046_000
"""Above what the changes topic takes, below what the inputs take."""


def lines() -> Iterator[tuple[Poison, Line, Line]]:
    """Yield each record with a good event that follows it on the same lane."""
    for number, poison in enumerate(CATALOGUE):
        lane = "high" if number % 2 else "normal"
        at_ms = NO_TIMESTAMP_MS if poison.timestamp_ms == NO_TIMESTAMP_MS else now_ms()
        good = Line(lane, load(f"after-{number}"), now_ms())
        yield poison, Line(lane, poison.value, at_ms, poison.headers, poison.key), good


def outcomes(artefacts: Artefacts) -> dict[RecordId, str]:
    """Return the code of every record that was refused or put aside."""
    codes = {origin_of(letter): letter.headers["dead-letter-code"] for letter in artefacts.dead_letters}
    refused = [one.value for one in artefacts.changes if one.type.endswith(REJECTED)]
    return codes | {(one["topic"], one["partition"], one["offset"]): one["code"] for one in refused}


def test_each_hostile_record_has_its_outcome_the_good_ones_are_applied_and_the_shard_can_be_taken_over(
    play: Play, note: Note
) -> None:
    processor = play.stage.start(**PATIENT)
    told = list(lines())
    play.send(line for _, poison, good in told for line in (poison, good))
    memory_kib = processor.peak_memory_kib()
    note(f"{len(told)} hostile records, the process took {memory_kib // 1024} MB at most")
    assert len(processor.logged("shard_taken_over")) == 1
    processor.kill()
    processor.start()
    play.send([Line("normal", load("taken-over"), now_ms())])
    artefacts = play.assert_whole()
    assert memory_kib < MEMORY_KIB_MAX
    found = outcomes(artefacts)
    places = {"high": 0, "normal": 0}
    became = {}
    for poison, line, _ in told:
        became[poison.name] = found.get((play.stage.topics[line.lane], 0, places[line.lane]), ACCEPTED)
        places[line.lane] += 2
    assert became == {poison.name: poison.stored or poison.outcome for poison, _, _ in told}
    assert {f"model/after-{number}" for number in range(len(told))} <= artefacts.store.entities.keys()
    assert "model/taken-over" in artefacts.store.entities
    assert len(artefacts.dead_letters) == sum(code in CODES for code in became.values())
    assert len(artefacts.inputs) == 2 * len(told) + 1


def test_an_event_in_the_other_lane_and_one_with_a_short_type_are_taken_as_they_are(play: Play) -> None:
    play.stage.start()
    connected = encoded("ServerReplicaConnected", {"server": "pool", "replica": 0, "memory": 8})
    tick = Line("high", b"{}", now_ms(), (JSON, ("ce_type", b"ClockTicked")))
    named = (JSON, ("ce_type", EVENTS.encode() + b"ModelLoadRequested"))
    short = json.dumps({"model": "late", "spec": {"uri": "x"}}).encode()
    early = Line("high", load("early"), now_ms(), key=None)
    play.send([Line("normal", connected, now_ms()), tick, early, Line("normal", short, now_ms(), named)])
    artefacts = play.assert_whole()
    assert {"server/pool", "model/early", "model/late"} <= artefacts.store.entities.keys()
    assert artefacts.dead_letters == ()


@pytest.fixture
def two_shards(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=2)
    stage.build()
    yield stage
    stage.strike()


def test_a_record_of_another_cluster_is_put_aside_however_large_it_is(two_shards: Stage) -> None:
    play = Play(two_shards, shard=1)
    two_shards.start()
    whole, own = bytes(LARGEST_INPUT_BYTES), two_shards.clusters[1].encode()
    strange = [Line("normal", load("strange"), now_ms(), key=b"cluster-0"), Line("high", whole, now_ms(), key=b"?")]
    play.send(
        [*strange, Line("high", load("own"), now_ms(), key=own), Line("normal", load("keyless"), now_ms(), key=None)]
    )
    artefacts = play.assert_whole()
    play.close()
    codes = {
        letter.headers["dead-letter-topic"]: letter.headers["dead-letter-code"] for letter in artefacts.dead_letters
    }
    topics = two_shards.topics
    assert codes == {topics["normal"]: "wrong_cluster", topics["high"]: "too_large"}
    assert artefacts.store.entities.keys() >= {"model/own", "model/keyless"}

"""What was refused for its size is refused again by whoever folds the records, whatever the limits are now."""

from typing import Any

import msgspec

from processor.avro.records import RecordCodec
from processor.avro.schema import parse_schema
from processor.cluster.event_parsing import parse_event
from processor.engine.inputs import Accepted, Cause, Record
from processor.memory.store import MemoryStore
from processor.replay.announcements import AnnouncementVerifier
from processor.replay.recording import AnnouncementLog
from processor.replay.replaying import BEGINNING, Step, refold, replay_to
from processor.replay.verifying import Finding, Verifier
from processor.replay.whatif import EventEdits, what_if
from tests.checker.memory_run import GIBIBYTE, SPEC, BoundedSink
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.engine.world import TOPICS
from tests.replay.shard import CATALOGUE, UNDERSTANDING, Shard


class BoundedShard(Shard):
    """A shard whose limits may be set between two owners."""

    record_bytes_max = 1_000_000

    def parts(self) -> Any:
        sink = BoundedSink(self.world.broker, TOPICS, 0, "app-0")  # type: ignore[arg-type]
        sink.bytes_max = self.record_bytes_max
        store = MemoryStore(self.world.cluster, 0, self.world.capacity)
        return msgspec.structs.replace(super().parts(), sink=sink, store=store)


def load(shard: Shard, model: str, generation: int, uri_bytes: int) -> None:
    data = {"model": model, "generation": generation, "spec": {**SPEC, "uri": str(generation) * uri_bytes}}
    shard.submit("ModelLoadRequested", data)


def refusing() -> BoundedShard:
    """Return a shard that refused events for their size under two limits, and announced what it could not whole."""
    shard = BoundedShard()
    shard.submit("ServerReplicaConnected", {"server": "cpu", "replica": 0, "memory": 4 * GIBIBYTE}, high=True)
    for generation in (1, 2, 3):
        load(shard, "iris", generation, 200_000)
    shard.process()
    shard.record_bytes_max = 300_000
    load(shard, "iris", 4, 10)
    load(shard, "churn", 1, 10)
    shard.submit("ModelUnloadRequested", {"model": "iris", "generation": 5})
    shard.process()
    shard.record_bytes_max = 1_000_000
    load(shard, "churn", 2, 300_000)
    shard.process()
    return shard


def test_replay_refuses_and_announces_as_the_log_says_whatever_the_limits_were() -> None:
    shard = refusing()
    past = shard.past()
    findings: list[Finding] = []
    announced = AnnouncementLog(past.topics["changes"], ("changes", 0)).of
    announcements = AnnouncementVerifier("app", shard.encoder, announced, findings.append, trimmed=False)
    verifier = Verifier()

    def watch(step: Any) -> None:
        verifier(step)
        announcements(step)

    replayed = replay_to(past.sources, shard.build, watch=watch)
    assert (verifier.findings, findings) == ([], [])
    assert replayed.head.digest == shard.head.digest
    assert announcements.compared == shard.head.announcements
    commits = [UNDERSTANDING.commit(record) for record in past.topics["commits"].records]
    assert {commit.entity_bytes_max for commit in commits} == {497_952, 147_952}
    assert sum(commit.rejected for commit in commits) == 2


def test_a_rebuild_refuses_the_same_events() -> None:
    shard = refusing()
    steps: list[Step] = []
    state = refold(shard.past().sources, shard.build, BEGINNING, shard.head.seq, watch=steps.append)
    folded = {key: shard.encoder.encode(key, entity) for key, entity in shard.machine.entities(state)}
    stored = dict(shard.store.load().entities)
    assert stored == {key: folded[key] for key in stored}
    assert not any(step.reduction.dead for step in steps if step.reduction)


def test_events_of_another_history_are_refused_by_the_limits_of_the_commit_that_they_go_into() -> None:
    shard = refusing()
    cause = Cause("normal", 0, 99, "extra", "ModelLoadRequested")
    event = parse_event(
        "ModelLoadRequested", 1, {"model": "extra", "generation": 1, "spec": {**SPEC, "uri": "x" * 600_000}}
    )
    found = what_if(
        shard.past().sources,
        shard.build,
        shard.build,
        shard.head.seq,
        start=BEGINNING,
        edits=EventEdits(extra=(Accepted(cause, event),), after_seq=shard.head.seq),
        watch=lambda _step: None,
    )
    assert found.extra_outcomes == ("rejected",)
    assert found.parted is None


def test_commits_of_builds_without_limits_are_read_as_having_none() -> None:
    shard = refusing()
    record = shard.past().topics["commits"].records[0]
    _, data = RecordCodec(CATALOGUE).decode_record(record.value or b"")
    first = parse_schema(msgspec.json.decode((SCHEMAS_DIRECTORY / "released/commits/Commit/1.avsc").read_bytes()))
    older = {name: value for name, value in data.items() if not name.endswith("_bytes_max")}
    value = RecordCodec(CATALOGUE).encode_record(first, older)
    commit = UNDERSTANDING.commit(Record("commits", 0, 0, 0, None, value))
    assert (commit.entity_bytes_max, commit.value_bytes_max, commit.record_bytes_max) == (0, 0, 0)
    assert commit.digest == data["digest"]

"""A long past is folded in little memory: what was read and reduced is let go."""

import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import msgspec

from examples.device_twins.machine import DeviceTwins
from processor.engine.announcements import CommitRecord, OutcomeRun
from processor.engine.inputs import Range, Record, Watermarks
from processor.replay.fold import Build
from processor.replay.replaying import replay_to
from processor.replay.sources import Sources
from tests.engine.world import EventCodec, JsonCodec

EVENTS = 5_000
COMMIT_EVENTS = 100
DEVICES = 50
TOPICS = {role: role for role in ("high", "normal", "changes", "commits", "dead-letters")}


class Made:
    """A topic whose records are made when they are read."""

    def __init__(self, topic: str, count: int) -> None:
        self._topic = topic
        self._count = count

    def watermarks(self) -> Mapping[int, Watermarks]:
        return {0: Watermarks(0, self._count)}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        for offset in range(starts[0], self._count):
            value = _event(offset) if self._topic == "normal" else _commit(offset)
            yield Record(self._topic, 0, offset, 1 + offset, None, value)


def _event(offset: int) -> bytes:
    data = {"device": f"device-{offset % DEVICES}", "reading": offset // DEVICES}
    return msgspec.json.encode(["DeviceReported", data])


def _commit(offset: int) -> bytes:
    start = offset * COMMIT_EVENTS
    commit = CommitRecord(
        seq=offset + 1,
        epoch=1,
        shard=0,
        cluster="cluster",
        kind="batch",
        previous_revision=offset,
        committed_ms=offset,
        reducer_version=DeviceTwins.version,
        ranges=(Range("normal", 0, start, start + COMMIT_EVENTS, COMMIT_EVENTS),),
        outcomes=(OutcomeRun("applied", COMMIT_EVENTS),),
        changed=COMMIT_EVENTS,
        rejected=0,
        dead_lettered=0,
        first_number=0,
        announcements=0,
        attempts=0,
        guard=False,
        digest=b"",
        previous_digest=b"",
    )
    return msgspec.msgpack.encode(commit)


def _peak_bytes(events: int) -> int:
    counts = {"normal": events, "commits": events // COMMIT_EVENTS}

    def opened(topic: str, partition: int) -> AbstractContextManager[Made]:
        assert partition == 0
        return nullcontext(Made(topic, counts[topic]))

    def commit(record: Record) -> CommitRecord:
        return msgspec.msgpack.decode(record.value or b"", type=CommitRecord)

    sources = Sources(0, TOPICS, opened, commit, lambda _: None)  # type: ignore[arg-type]
    codec = JsonCodec()
    build = Build(DeviceTwins(), EventCodec(codec), codec)
    tracemalloc.start()
    try:
        replayed = replay_to(sources, build)
        assert (replayed.events, replayed.commits) == (events, events // COMMIT_EVENTS)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_four_times_the_events_take_no_more_memory() -> None:
    _peak_bytes(EVENTS)  # whatever is made once is made here
    once, four_times = _peak_bytes(EVENTS), _peak_bytes(4 * EVENTS)
    assert four_times < 1.5 * once, (once, four_times)

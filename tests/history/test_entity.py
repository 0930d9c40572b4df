"""History read from topics that hold JSON: reading is what is looked at here, not decoding."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from processor.client.codec import DecodedRecord
from processor.engine.inputs import Record, Watermarks
from processor.history.entity import CHUNK_OFFSETS, EVENTS_READ_MAX, EVENTS_TOLD_MAX, history_of
from processor.history.events import Effects, Sources, names
from processor.history.rejections import NEAR_OFFSETS

TOPICS: Any = {"changes": "changes", "commits": "commits"}


class Log:
    """A topic of one partition; offsets have holes where transactions ended."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.records: list[Record] = []
        self.low = 0
        self.high = 0

    def append(self, value: Any, key: str = "", seq: int = -1) -> int:
        header = ("processor-seq", str(seq).encode())
        record = Record(
            self.topic, 0, self.high, 1_000 + self.high, key.encode(), json.dumps(value).encode(), (header,)
        )
        self.records.append(record)
        self.high += 1
        return record.offset

    def watermarks(self) -> Mapping[int, Watermarks]:
        return {0: Watermarks(self.low, self.high)}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        assert starts[0] >= self.low
        return iter([record for record in self.records if record.offset >= starts[0]])


class Topics:
    """What a shard has written, made by telling it what each commit was."""

    def __init__(self) -> None:
        self.logs = {name: Log(name) for name in ("changes", "commits", "high", "normal")}
        self.seq = 0

    @contextmanager
    def open(self, topic: str) -> Iterator[Log]:
        yield self.logs[topic]

    def commit(self, events: list[tuple[str, str, Any, str]], changed: tuple[str, ...] = ()) -> int:
        """Write events (topic, type, data, outcome), the commit that reduces them and its changes; return its seq."""
        self.seq += 1
        ranges, outcomes, refused = [], [], []
        for topic, event_type, data, outcome in events:
            offset = self.logs[topic].append({"type": event_type, "data": data})
            ranges.append({"topic": topic, "partition": 0, "from": offset, "to": offset + 1, "count": 1})
            outcomes.append({"outcome": outcome, "count": 1})
            if outcome == "rejected":
                refused.append(_rejection(self.seq, topic, offset, event_type))
        for key in changed:
            transitions = [{"type": "Touched", "version": None}]
            change = {"op": "u", "ts_ms": 10 * self.seq, "transitions": transitions}
            self.logs["changes"].append({"type": "Changed", "data": change}, key, self.seq)
        for said in refused:
            self.logs["changes"].append(
                {"type": "EventRejected", "data": said}, f"rejected/{said['event_id']}", self.seq
            )
        body = {"seq": self.seq, "kind": "batch", "ranges": ranges, "outcomes": outcomes}
        self.logs["commits"].append({"type": "Commit", "data": body}, str(self.seq), self.seq)
        self.logs["changes"].high += 1
        self.logs["commits"].high += 1
        return self.seq

    @property
    def sources(self) -> Sources:
        return self.sources_with(lambda _seq, _records, _key: None)

    def sources_with(self, effects: Effects) -> Sources:
        return Sources(TOPICS, self.open, _decode, effects)


def _rejection(seq: int, topic: str, offset: int, event_type: str) -> dict[str, Any]:
    place = {"topic": topic, "partition": 0, "offset": offset, "event_id": f"{topic}-0-{offset}"}
    return {
        **place,
        "event_type": event_type,
        "code": "stale",
        "message": "too old",
        "source": {"seq": seq},
        "ts_ms": 10 * seq,
    }


def _decode(record: Record) -> DecodedRecord:
    assert record.value is not None
    said = json.loads(record.value)
    place = (record.topic, record.partition, record.offset, record.timestamp_ms)
    return DecodedRecord(*place, "", (), f"processor.{said['type']}", said["data"], said.get("error", ""))


LOAD = ("normal", "ModelLoadRequested", {"model": "iris"}, "applied")
OTHER = ("normal", "ModelLoadRequested", {"model": "rose"}, "applied")


def test_the_newest_commits_come_first_each_with_its_events() -> None:
    topics = Topics()
    topics.commit([LOAD], ("model/iris",))
    topics.commit([OTHER], ("model/rose",))
    connected = ("high", "ServerReplicaConnected", {"server": "s1"}, "applied")
    topics.commit([connected, OTHER], ("server/s1", "model/iris"))
    history = history_of(topics.sources, 0, "model/iris", count=5)
    assert [episode.seq for episode in history.episodes] == [3, 1]
    newest = history.episodes[0]
    assert (newest.op, newest.committed_ms, newest.transitions) == ("update", 30, ({"type": "Touched"},))
    assert [(event.topic, event.type, event.named) for event in newest.events] == [
        ("high", "ServerReplicaConnected", False),
        ("normal", "ModelLoadRequested", False),
    ]
    assert [event.named for event in history.episodes[1].events] == [True]
    assert history.whole


def test_what_came_after_the_state_that_is_explained_is_left_out() -> None:
    topics = Topics()
    for _ in range(3):
        topics.commit([LOAD], ("model/iris",))
    history = history_of(topics.sources, 0, "model/iris", count=5)
    assert [episode.seq for episode in history.episodes] == [3, 2, 1]
    assert [episode.seq for episode in history.until(2).episodes] == [2, 1]


def test_only_so_many_commits_are_told_and_then_it_is_not_the_whole() -> None:
    topics = Topics()
    for _ in range(4):
        topics.commit([LOAD], ("model/iris",))
    history = history_of(topics.sources, 0, "model/iris", count=2)
    assert ([episode.seq for episode in history.episodes], history.whole) == ([4, 3], False)


def test_an_announcement_far_back_is_found() -> None:
    topics = Topics()
    topics.commit([LOAD], ("model/iris",))
    topics.logs["changes"].high += 2 * CHUNK_OFFSETS
    history = history_of(topics.sources, 0, "model/iris", count=1)
    assert [episode.seq for episode in history.episodes] == [1]


def test_an_announcement_told_twice_is_one_episode() -> None:
    topics = Topics()
    topics.commit([LOAD], ("model/iris", "model/iris"))
    assert len(history_of(topics.sources, 0, "model/iris", count=5).episodes) == 1


def test_only_what_was_applied_is_a_cause() -> None:
    topics = Topics()
    refused = ("normal", "ModelLoadRequested", {"model": "iris"}, "rejected")
    repeated = ("normal", "ModelLoadRequested", {"model": "iris"}, "unchanged")
    topics.commit([refused, LOAD, repeated], ("model/iris",))
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert [event.offset for event in episode.events] == [1]


def test_of_many_events_those_that_name_the_entity_are_told_in_their_order() -> None:
    topics = Topics()
    topics.commit([*[OTHER] * (EVENTS_TOLD_MAX + 3), LOAD], ("model/iris",))
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert (len(episode.events), episode.untold) == (EVENTS_TOLD_MAX, 4)
    assert [event.named for event in episode.events] == [False] * (EVENTS_TOLD_MAX - 1) + [True]


def test_what_a_topic_keeps_no_more_is_said() -> None:
    topics = Topics()
    topics.commit([LOAD], ("model/iris",))
    seq = topics.commit([OTHER], ("model/rose",))
    topics.logs["normal"].low = topics.logs["normal"].high
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert (episode.events, episode.lost) == ((), "normal does not keep all of its events any more")
    topics.logs["commits"].low = topics.logs["commits"].records[-1].offset
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert (episode.commit, episode.lost) == ("", f"commit {seq - 1} is not in the log any more")


def test_what_is_left_of_a_range_keeps_its_outcomes() -> None:
    topics = Topics()
    normal = topics.logs["normal"]
    for model in ("iris", "rose", "iris"):
        normal.append({"type": "ModelLoadRequested", "data": {"model": model}})
    outcomes = [{"outcome": "applied", "count": 1}, {"outcome": "rejected", "count": 1}] * 2
    ranges = [{"topic": "normal", "partition": 0, "from": 0, "to": 3, "count": 3}]
    topics.logs["changes"].append(
        {"type": "Changed", "data": {"op": "c", "ts_ms": 1, "transitions": []}}, "model/iris", 1
    )
    body = {"seq": 1, "kind": "batch", "ranges": ranges, "outcomes": outcomes[:3]}
    topics.logs["commits"].append({"type": "Commit", "data": body}, "1", 1)
    normal.low = 1
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert [event.offset for event in episode.events] == [2]
    assert episode.lost


def test_a_commit_of_very_many_events_is_not_read_whole() -> None:
    topics = Topics()
    topics.logs["changes"].append(
        {"type": "Changed", "data": {"op": "u", "ts_ms": 1, "transitions": []}}, "model/iris", 1
    )
    ranges = [{"topic": "normal", "partition": 0, "from": 0, "to": EVENTS_READ_MAX + 1, "count": EVENTS_READ_MAX + 1}]
    body = {
        "seq": 1,
        "kind": "batch",
        "ranges": ranges,
        "outcomes": [{"outcome": "applied", "count": EVENTS_READ_MAX + 1}],
    }
    topics.logs["commits"].append({"type": "Commit", "data": body}, "1", 1)
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert (episode.events, episode.lost) == ((), "only its first 0 events were looked at")


def test_an_announcement_that_cannot_be_read_is_told_as_that() -> None:
    topics = Topics()
    topics.logs["changes"].append({"type": "", "data": "00", "error": "unknown schema"}, "model/iris", 7)
    (episode,) = history_of(topics.sources, 0, "model/iris", count=5).episodes
    assert (episode.seq, episode.lost) == (7, "the announcement is unreadable: unknown schema")


def test_where_it_is_known_which_events_changed_the_entity_the_others_are_only_counted() -> None:
    topics = Topics()
    refused = ("normal", "ModelLoadRequested", {"model": "iris"}, "rejected")
    connected = ("high", "ServerReplicaConnected", {"server": "s1"}, "applied")
    seq = topics.commit([OTHER, connected, refused, LOAD], ("model/iris",))

    def effects(of_seq: int, records: list[Record], key: str) -> list[tuple[str, ...]]:
        assert (of_seq, [record.offset for record in records], key) == (seq, [0, 0, 2], "model/iris")
        return [(), ("versions.0.server",), ()]

    (episode,) = history_of(topics.sources_with(effects), 0, "model/iris", count=5).episodes
    assert [(event.type, event.fields, event.event_id) for event in episode.events] == [
        ("ServerReplicaConnected", ("versions.0.server",), "high-0-0")
    ]
    assert episode.untold == 2


def test_a_commit_whose_events_are_not_all_kept_is_not_reduced_again() -> None:
    topics = Topics()
    topics.commit([LOAD, LOAD], ("model/iris",))
    topics.logs["normal"].low = 1

    def effects(_seq: int, _records: list[Record], _key: str) -> list[tuple[str, ...]]:
        raise AssertionError("what is missing may have been the cause")

    (episode,) = history_of(topics.sources_with(effects), 0, "model/iris", count=5).episodes
    assert ([event.fields for event in episode.events], bool(episode.lost)) == ([None], True)


def test_refused_events_that_named_the_entity_are_told() -> None:
    topics = Topics()
    refused = ("normal", "ModelLoadRequested", {"model": "iris"}, "rejected")
    elsewhere = ("normal", "ModelLoadRequested", {"model": "rose"}, "rejected")
    topics.commit([LOAD, refused, elsewhere], ("model/iris",))
    topics.logs["normal"].high += 2 * NEAR_OFFSETS
    seq = topics.commit([elsewhere, refused])
    history = history_of(topics.sources, 0, "model/iris", count=5)
    assert [(one.seq, one.code, one.message, one.data, one.event_id) for one in history.refusals] == [
        (seq, "stale", "too old", {"model": "iris"}, f"normal-0-{2 * NEAR_OFFSETS + 4}"),
        (1, "stale", "too old", {"model": "iris"}, "normal-0-1"),
    ]
    assert [one.seq for one in history_of(topics.sources, 0, "model/iris", count=1).refusals] == [seq]
    topics.logs["normal"].low = 2
    assert [one.seq for one in history_of(topics.sources, 0, "model/iris", count=5).refusals] == [seq]


@pytest.mark.parametrize(
    ("key", "event_type", "data", "named"),
    [
        ("model/iris", "ModelLoadRequested", {"model": "iris"}, True),
        ("model/iris", "ModelLoadRequested", {"model": "rose"}, False),
        ("server/s1", "ModelReplicaLoaded", {"model": "iris", "server": "s1"}, True),
        ("failure/model/iris", "ModelReplicaLoadFailed", {"model": "iris"}, True),
        ("failure/pipeline/iris", "ModelReplicaLoadFailed", {"model": "iris"}, False),
        ("responder/dataflow_engine/e0", "ResponderConnected", {"role": "dataflow_engine", "responder": "e0"}, True),
        ("responder/dataflow_engine/e0", "ResponderConnected", {"role": "pipeline_gateway", "responder": "e0"}, False),
        ("policy/cluster", "PolicyChanged", {"retry_limit": 1}, True),
        ("policy/cluster", "ClockTicked", {}, False),
        ("model/iris", "ModelLoadRequested", "00ff", False),
    ],
)
def test_an_event_names_its_entity(key: str, event_type: str, data: Any, named: bool) -> None:  # noqa: FBT001 - a column
    assert names(key, event_type, data) == named

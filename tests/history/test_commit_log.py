"""Points found in a commit log with holes, as transactions leave them."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record, Watermarks
from processor.history.commit_log import READ_THROUGH_OFFSETS, CommitLog, Located

HIGH, NORMAL = "high", "normal"
COMMITS = 250
"""More than what is read through without halving."""


class Log:
    """A topic of one partition that counts what is read of it."""

    def __init__(self, low: int = 0) -> None:
        self.low = low
        self.records: list[Record] = []
        self.read = 0

    def watermarks(self) -> Mapping[int, Watermarks]:
        return {0: Watermarks(self.low, self.records[-1].offset + 2 if self.records else self.low)}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        for record in self.records:
            if record.offset >= starts[0]:
                self.read += 1
                yield record


def _span(topic: str, start: int, end: int) -> dict[str, Any]:
    return {"topic": topic, "partition": 0, "from": start, "to": end, "count": end - start}


def _commit(seq: int, spans: list[dict[str, Any]], committed_ms: int, kind: str = "batch") -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "committed_ms": committed_ms, "ranges": spans, "digest": b"\x01"}


def _log(commits: list[dict[str, Any]]) -> Log:
    log = Log()
    for place, commit in enumerate(commits):
        seq = commit["seq"]
        headers = (("processor-seq", b"%d" % seq), ("processor-revision", b"%d" % (10 * seq)))
        log.records.append(Record("commits", 0, 2 * place, 0, b"", msgspec.json.encode(commit), headers))
    return log


def _decode(record: Record) -> dict[str, Any]:
    assert record.value is not None
    commit: dict[str, Any] = msgspec.json.decode(record.value)
    return {**commit, "digest": b"\x01"}


@pytest.fixture
def log() -> Log:
    """Each commit takes two records of normal, each tenth also one of high; one every second."""
    commits = []
    for seq in range(1, COMMITS + 1):
        spans = [_span(HIGH, seq // 10 - 1, seq // 10)] if seq % 10 == 0 else []
        commits.append(_commit(seq, [*spans, _span(NORMAL, 2 * seq, 2 * seq + 2)], 1000 * seq))
    return _log(commits)


@pytest.fixture
def commits(log: Log) -> CommitLog:
    return CommitLog(log, 0, _decode)


def _seq(located: Located) -> int:
    return located.seq


def test_the_ends_are_found(commits: CommitLog) -> None:
    assert (commits.first().seq, commits.last().seq) == (1, COMMITS)


@pytest.mark.parametrize("seq", range(1, COMMITS + 1))
def test_each_commit_is_found_by_its_seq_its_time_its_records_and_its_revision(commits: CommitLog, seq: int) -> None:
    found = commits.of_seq(seq)
    assert (found.seq, found.committed_ms, found.revision) == (seq, 1000 * seq, 10 * seq)
    assert found.digest == "01"
    assert [_seq(commits.at_time(1000 * seq + later_ms)) for later_ms in (0, 999)] == [seq, seq]
    assert [_seq(commits.at_offset(NORMAL, 0, 2 * seq + later)) for later in (0, 1)] == [seq, seq]
    assert [_seq(commits.at_revision(10 * seq + later)) for later in (0, 9)] == [seq, seq]


def test_a_record_of_a_lane_that_few_commits_take_from_is_found(commits: CommitLog) -> None:
    assert [_seq(commits.at_offset(HIGH, 0, offset)) for offset in range(COMMITS // 10)] == list(
        range(10, COMMITS + 1, 10)
    )


def test_the_newest_commit_stands_until_now(commits: CommitLog) -> None:
    assert commits.at_time(10**15).seq == COMMITS
    assert commits.at_revision(10**15).seq == COMMITS


def test_a_point_outside_is_told_with_the_ends(commits: CommitLog) -> None:
    with pytest.raises(InvalidRequest, match=f"seq {COMMITS + 1} is in the future: the last commit is {COMMITS}"):
        commits.of_seq(COMMITS + 1)
    with pytest.raises(InvalidRequest, match="before the beginning: the first commit that is kept, seq 1"):
        commits.at_time(999)
    with pytest.raises(InvalidRequest, match=rf"normal\[0\]@{2 * COMMITS + 2} is not processed yet"):
        commits.at_offset(NORMAL, 0, 2 * COMMITS + 2)
    with pytest.raises(InvalidRequest, match=r"before the first commit's, which is 2"):
        commits.at_offset(NORMAL, 0, 1)
    with pytest.raises(InvalidRequest, match="has revision 10"):
        commits.at_revision(9)


def test_what_the_log_keeps_no_more_is_no_guess(log: Log, commits: CommitLog) -> None:
    log.records = log.records[20:]
    log.low = log.records[0].offset
    with pytest.raises(InvalidRequest, match="seq 20 is not in the commit log: it begins with 21"):
        commits.of_seq(20)
    with pytest.raises(InvalidRequest, match="before the beginning"):
        commits.at_time(20_500)
    assert commits.at_time(21_000).seq == 21


def test_an_empty_log_holds_no_point() -> None:
    empty = CommitLog(Log(), 0, _decode)
    for search in (empty.first, empty.last, lambda: empty.of_seq(1), lambda: empty.at_time(5)):
        with pytest.raises(InvalidRequest, match="nothing is committed yet"):
            search()


def test_a_search_reads_little() -> None:
    log = _log([_commit(seq, [], 1000 * seq) for seq in range(1, 20_001)])
    assert CommitLog(log, 0, _decode).of_seq(777).seq == 777
    assert log.read <= READ_THROUGH_OFFSETS

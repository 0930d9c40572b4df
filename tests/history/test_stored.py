"""Heads found among revisions, of which some are compacted, many wrote something else, and some wrote no commit."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.engine.values import Head
from processor.etcd.failures import CompactedError
from processor.etcd.past import StandingHead
from processor.history.stored import First, before, first_where
from tests.contracts.store_worlds import head


class Heads:
    """A head written at some revisions of many, readable from `compacted` on."""

    def __init__(self, written: dict[int, Head], now: int, compacted: int = 0) -> None:
        self.written = written
        self.now = now
        self.compacted = compacted
        self.reads = 0

    def newest(self) -> StandingHead | None:
        return self.at(self.now)

    def at(self, revision: int) -> StandingHead | None:
        self.reads += 1
        if revision < self.compacted:
            raise CompactedError(f"{revision} is compacted")
        past = [at for at in self.written if at <= revision]
        if not past:
            return None
        return StandingHead(revision, self.written[max(past)], max(past), min(self.written))


def _first(heads: Heads, holds: Callable[[Head], bool]) -> First | None:
    newest = heads.newest()
    assert newest is not None
    return first_where(heads, newest, holds)


def _of_seq(seq: int) -> Callable[[Head], bool]:
    return lambda head: head.seq >= seq


@st.composite
def _heads(draw: st.DrawFn) -> Heads:
    """Seqs grow by one or, where only trimmed, stay; revisions skip what others wrote."""
    steps = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1)), min_size=1, max_size=40))
    revision, seq, written = draw(st.integers(1, 9)), 0, {}
    for skipped, grown in [(0, 0), *steps]:
        revision, seq = revision + skipped, seq + grown
        written[revision] = head(seq, 1)
    now = revision + draw(st.integers(0, 5))
    return Heads(written, now, draw(st.integers(0, now)))


@given(_heads())
def test_each_seq_is_found_at_its_first_revision_or_known_to_be_compacted(heads: Heads) -> None:
    for seq in range(max(one.seq for one in heads.written.values()) + 1):
        found = _first(heads, _of_seq(seq))
        assert found is not None
        first = min(at for at, one in heads.written.items() if one.seq >= seq)
        if found.certain:
            assert (found.standing.modified, found.standing.head.seq) == (first, seq)
            assert found.standing.revision == first or first < heads.compacted
        else:
            assert first <= heads.compacted
            assert found.standing.revision >= heads.compacted


@given(_heads())
def test_a_seq_in_the_future_is_not_found(heads: Heads) -> None:
    assert _first(heads, _of_seq(1_000)) is None


def test_a_head_written_before_the_history_that_is_kept_is_read_where_it_still_stands() -> None:
    heads = Heads({5: head(0, 1), 10: head(1, 1), 40: head(2, 1)}, 50, compacted=20)
    found = _first(heads, _of_seq(1))
    assert found is not None
    assert (found.standing.head.seq, found.standing.modified, found.certain) == (1, 10, False)
    assert 20 <= found.standing.revision < 40


def test_the_head_before_is_the_one_that_stood_a_revision_earlier() -> None:
    heads = Heads({5: head(0, 1), 9: head(1, 1)}, 12)
    second = heads.at(12)
    assert second is not None
    first = before(heads, second)
    assert first is not None
    assert (first.head.seq, first.modified) == (0, 5)
    assert before(heads, first) is None
    with pytest.raises(CompactedError):
        before(Heads(heads.written, 12, compacted=9), second)


def test_a_search_reads_little() -> None:
    heads = Heads({3 * seq + 7: head(seq, 1) for seq in range(2_000)}, 10_000)
    found = _first(heads, _of_seq(777))
    assert found is not None
    assert msgspec.structs.asdict(found.standing)["modified"] == 3 * 777 + 7
    assert heads.reads <= 17

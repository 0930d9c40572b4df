"""Who goes to a point: the store first, the records where the store has forgotten, is away or was changed by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from processor.engine.errors import InvalidRequest, StoreUnavailable
from processor.etcd.failures import HistoryGoneError
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, Past
from processor.history.stored import View
from processor.replay.states import StateHistory


def _view(seq: int, *, digest: str = "aa", source: str = "the store") -> View:
    return View(None, seq, 0, digest, "aa", source)


class Located:
    def __init__(self, seq: int) -> None:
        self.seq = seq


class Log:
    """Every point is seq 7."""

    def of_seq(self, seq: int) -> Located:
        return Located(seq)

    def at_time(self, _: int) -> Located:
        return Located(7)

    def at_offset(self, *_: object) -> Located:
        return Located(7)

    at_revision = at_time


class Places:
    """A store that answers with a view or an error, and what was folded and noted."""

    def __init__(self, answer: View | Exception) -> None:
        self.answer = answer
        self.folded: list[int] = []
        self.notes: list[str] = []

    def at(self, _: Past) -> View:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @contextmanager
    def stored_states(self) -> Iterator[Any]:
        yield self

    @contextmanager
    def commit_log(self) -> Iterator[Any]:
        yield Log()

    def history(self) -> StateHistory:
        return Unfolded(self, self.notes.append, lambda *_counts: None)  # type: ignore[arg-type]


class Unfolded(StateHistory):
    """Notes what would be folded."""

    def _fold(self, seq: int) -> View:
        places: Any = self._past
        places.folded.append(seq)
        return _view(seq, source="the records")


POINTS: list[Past] = [AtSeq(7), AtTime(1), AtOffset("normal", 0, 3), AtRevision(9)]


@pytest.mark.parametrize("point", POINTS)
def test_what_the_store_has_is_not_folded(point: Past) -> None:
    places = Places(_view(7))
    assert places.history().at(point).source == "the store"
    assert (places.folded, places.notes) == ([], [])


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("error", [HistoryGoneError("forgotten"), StoreUnavailable("away")])
def test_what_the_store_has_not_is_folded_and_said(point: Past, error: Exception) -> None:
    places = Places(error)
    assert places.history().at(point).source == "the records"
    assert (places.folded, places.notes) == ([7], [f"{error}: the records are folded again"])


def test_a_state_that_was_changed_by_hand_is_folded_unless_it_was_asked_for_by_its_revision() -> None:
    places = Places(_view(7, digest="bb"))
    assert places.history().at(AtSeq(7)).source == "the records"
    assert "changed without its head" in places.notes[0]
    assert not places.history().at(AtRevision(9)).whole


def test_the_empty_state_needs_no_log() -> None:
    places = Places(HistoryGoneError("forgotten"))
    places.history().at(AtSeq(0))
    assert places.folded == [0]


def test_a_point_that_is_none_is_no_reason_to_fold() -> None:
    places = Places(InvalidRequest("in the future"))
    with pytest.raises(InvalidRequest, match="in the future"):
        places.history().at(AtSeq(7))
    assert places.folded == []

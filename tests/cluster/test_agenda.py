from hypothesis import given
from hypothesis import strategies as st

from processor.cluster.agenda import Agenda, agenda_of, due_by, earliest, with_time

TIMES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2**20))


def test_nothing_is_due_in_an_empty_agenda() -> None:
    assert earliest(Agenda()) is None
    assert due_by(Agenda(), 10**12) == []


def test_a_time_is_past_from_its_millisecond_on() -> None:
    agenda = agenda_of({"b": 5, "a": 70_000})
    assert due_by(agenda, 4) == []
    assert due_by(agenda, 5) == ["b"]
    assert due_by(agenda, 70_000) == ["a", "b"]
    assert due_by(agenda, -1) == []


def test_noting_the_same_time_again_returns_the_very_same_agenda() -> None:
    agenda = with_time(Agenda(), "a", 5)
    assert with_time(agenda, "a", 5) is agenda
    assert with_time(agenda, "b", None) is agenda


@given(TIMES, TIMES)
def test_noting_one_by_one_equals_building_at_once(first: dict[str, int], second: dict[str, int]) -> None:
    agenda = agenda_of(first)
    for key in "abcdef":
        agenda = with_time(agenda, key, second.get(key))
    assert agenda == agenda_of(second)
    assert earliest(agenda) == min(second.values(), default=None)

from hypothesis import given
from hypothesis import strategies as st

from processor.cluster.agenda import Agenda, agenda_of, earliest, noted, past

TIMES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2**20))


def test_nothing_is_due_in_an_empty_agenda() -> None:
    assert earliest(Agenda()) is None
    assert past(Agenda(), 10**12) == []


def test_a_time_is_past_from_its_millisecond_on() -> None:
    agenda = agenda_of({"b": 5, "a": 70_000})
    assert past(agenda, 4) == []
    assert past(agenda, 5) == ["b"]
    assert past(agenda, 70_000) == ["a", "b"]
    assert past(agenda, -1) == []


def test_noting_the_same_time_again_returns_the_very_same_agenda() -> None:
    agenda = noted(Agenda(), "a", 5)
    assert noted(agenda, "a", 5) is agenda
    assert noted(agenda, "b", None) is agenda


@given(TIMES, TIMES)
def test_noting_one_by_one_equals_building_at_once(first: dict[str, int], second: dict[str, int]) -> None:
    agenda = agenda_of(first)
    for key in "abcdef":
        agenda = noted(agenda, key, second.get(key))
    assert agenda == agenda_of(second)
    assert earliest(agenda) == min(second.values(), default=None)

import pytest

from tests.waiting import StillWaitingError, wait_equal, wait_for, wait_until


def test_waiting_ends_with_the_first_accepted_value() -> None:
    values = iter([0, 5, 7, 8])
    assert wait_for(lambda: next(values), lambda value: value > 5) == 7


def test_an_earlier_true_value_is_not_the_expected_one() -> None:
    values = iter([0, 1, 2, 3])
    wait_equal(lambda: next(values), 3)
    assert list(values) == []


def test_waiting_in_vain_names_what_did_not_come_and_what_was_read_last() -> None:
    with pytest.raises(StillWaitingError, match="still waiting until pigs fly; read last: 'oink'"):
        wait_for(lambda: "oink", lambda _: False, what="pigs fly", timeout_s=0)
    with pytest.raises(StillWaitingError, match="until it is 3; read last: 2"):
        wait_equal(lambda: 2, 3, timeout_s=0)
    with pytest.raises(StillWaitingError):
        wait_until(lambda: "", timeout_s=0)

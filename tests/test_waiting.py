import pytest

from tests.waiting import StillWaitingError, wait_until


def test_waiting_ends_with_the_first_true_answer() -> None:
    answers = iter([0, None, 7, 8])
    assert wait_until(lambda: next(answers), what="seven comes") == 7


def test_waiting_in_vain_names_what_did_not_come() -> None:
    with pytest.raises(StillWaitingError, match="still waiting until pigs fly"):
        wait_until(lambda: False, what="pigs fly", timeout_s=0)

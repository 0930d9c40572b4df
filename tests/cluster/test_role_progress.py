import pytest

from processor.cluster.entities import Answer, RoleProgress
from processor.cluster.role_progress import NOT_REQUESTED, start, with_answer, without_responder

BOTH = ("e0", "e1")
MIXED = (False, True)
ALL_FAILED = (False, False)


def asked(operation: str = "create") -> RoleProgress:
    return start(NOT_REQUESTED, operation, BOTH)


def said(progress: RoleProgress, *successes: bool) -> RoleProgress:
    for name, success in zip(BOTH, successes, strict=False):
        progress = with_answer(
            progress, Answer(name, "succeeded" if success else "failed", "" if success else f"{name} broke")
        )
    return progress


def test_responders_are_asked_with_a_new_number() -> None:
    progress = start(asked(), "rebalance", ("e0",))
    assert (progress.state, progress.sequence, progress.answers) == ("Rebalancing", 2, (Answer("e0", "pending", ""),))


@pytest.mark.parametrize(
    ("operation", "state", "reason"),
    [("create", "Create", "no_responders"), ("rebalance", "Create", "no_responders"), ("delete", "Terminated", "")],
)
def test_without_responders_nothing_is_asked_and_no_number_is_used(operation: str, state: str, reason: str) -> None:
    assert start(asked(), operation, ()) == RoleProgress(state, 1, (), reason)


@pytest.mark.parametrize(
    ("operation", "successes", "state", "reason"),
    [
        ("create", (True,), "Creating", ""),
        ("create", (False, True), "Ready", "e0 broke"),
        ("create", (False, False), "Failed", "e0 broke; e1 broke"),
        ("rebalance", (True, True), "Ready", ""),
        ("delete", (True, True), "Terminated", ""),
        ("delete", (True, False), "TerminateFailed", "e1 broke"),
    ],
)
def test_answers_are_combined_once_none_is_pending(
    operation: str, successes: tuple[bool, ...], state: str, reason: str
) -> None:
    progress = said(asked(operation), *successes)
    assert (progress.state, progress.reason) == (state, reason)


def test_an_axis_whose_last_success_leaves_fails() -> None:
    progress = without_responder(said(asked(), *MIXED), "e1", ("e0",))
    assert (progress.state, progress.reason, len(progress.answers)) == ("Failed", "e0 broke", 1)


def test_a_failed_axis_stays_as_it_is_when_one_of_its_responders_leaves() -> None:
    progress = without_responder(said(asked(), *ALL_FAILED), "e1", ("e0",))
    assert (progress.state, progress.reason) == ("Failed", "e0 broke; e1 broke")


@pytest.mark.parametrize(
    ("operation", "successes", "state", "reason"),
    [
        ("create", (True, True), "Create", "no_responders"),
        ("create", (False, False), "Create", "no_responders"),
        ("delete", (False, True), "Terminated", ""),
        ("delete", (True, True), "Terminated", ""),
        ("delete", (), "Terminated", ""),
    ],
)
def test_an_axis_without_any_responder_left_waits_or_is_done(
    operation: str, successes: tuple[bool, ...], state: str, reason: str
) -> None:
    assert without_responder(said(asked(operation), *successes), "e1", ()) == RoleProgress(state, 1, (), reason)

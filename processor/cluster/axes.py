"""How the responders of one role realise a pipeline version: asked, answering, combined."""

from msgspec.structs import replace

from processor.cluster.entities import Answer, Axis
from processor.cluster.lifecycle import (
    ANSWER_FAILED,
    AXIS_ALONE,
    AXIS_ASKED,
    AXIS_COMBINED,
    AXIS_CREATE,
    AXIS_DESERTED,
    NO_RESPONDERS,
    PENDING,
)

UNASKED = Axis(AXIS_CREATE, 0, (), NO_RESPONDERS)


def start(axis: Axis, operation: str, responders: tuple[str, ...]) -> Axis:
    """Ask all responders (names ascending) for the operation; without any, the axis waits or is done at once."""
    if not responders:
        state, reason = AXIS_ALONE[operation]
        return Axis(state, axis.sequence, (), reason)
    answers = tuple([Answer(name, PENDING, "") for name in responders])
    return Axis(AXIS_ASKED[operation], axis.sequence + 1, answers, "")


def answered(axis: Axis, answer: Answer) -> Axis:
    """Record what one of the asked responders says."""
    answers = tuple([answer if other.responder == answer.responder else other for other in axis.answers])
    return _combined(replace(axis, answers=answers))


def deserted(axis: Axis, responder: str, rest: tuple[str, ...]) -> Axis:
    """Go on without a responder; `rest` are those of its role that are left."""
    if not rest:
        return start(axis, AXIS_DESERTED[axis.state], ())
    answers = tuple([answer for answer in axis.answers if answer.responder != responder])
    if len(answers) == len(axis.answers):
        return axis
    return _combined(replace(axis, answers=answers))


def _combined(axis: Axis) -> Axis:
    if axis.state not in AXIS_COMBINED or any(answer.state == PENDING for answer in axis.answers):
        return axis
    decisive, then, otherwise = AXIS_COMBINED[axis.state]
    state = then if any(answer.state == decisive for answer in axis.answers) else otherwise
    reasons = [answer.reason for answer in axis.answers if answer.state == ANSWER_FAILED and answer.reason]
    return replace(axis, state=state, reason="; ".join(reasons))

"""How the responders of one role bring a pipeline version about: requests, answers, and what they add up to.

A version needs both roles, dataflow engines and pipeline gateways, and keeps a `RoleProgress` of each. `start` sends
one request (create, rebalance, delete) to all connected responders of the role under a new `sequence`; answers to an
older sequence are rejected as stale (`reducers.pipelines`). When every asked responder has answered, the answers are
combined: a creation succeeds if one succeeded, a deletion fails if one failed (`pipeline_lifecycle.ANSWERS_COMBINED`).
Responders may come and go meanwhile: one that joins repeats the current request for all, the answers of one that leaves
no longer count, and without any responder the version waits in state Create (or is deleted at once).

Transitions announce a request whenever `sequence` grows. All tables stand in `pipeline_lifecycle`.
"""

from msgspec.structs import replace

from processor.cluster.entities import Answer, PipelineVersion, RoleProgress
from processor.cluster.pipeline_lifecycle import (
    ANSWER_FAILED,
    ANSWERS_COMBINED,
    ENGINE_ROLE,
    GATEWAY_ROLE,
    LAST_RESPONDER_LEFT,
    NO_RESPONDERS,
    PENDING,
    REQUESTED,
    TO_CREATE,
    WITHOUT_RESPONDERS,
)

NOT_REQUESTED = RoleProgress(TO_CREATE, 0, (), NO_RESPONDERS)


def start(progress: RoleProgress, operation: str, responders: tuple[str, ...]) -> RoleProgress:
    """Request the operation of all responders (names ascending); without any it waits, or a deletion is done."""
    if not responders:
        state, reason = WITHOUT_RESPONDERS[operation]
        return RoleProgress(state, progress.sequence, (), reason)
    answers = tuple([Answer(name, PENDING, "") for name in responders])
    return RoleProgress(REQUESTED[operation], progress.sequence + 1, answers, "")


def with_answer(progress: RoleProgress, answer: Answer) -> RoleProgress:
    """Record the answer of a responder that was asked, and combine."""
    answers = tuple([answer if other.responder == answer.responder else other for other in progress.answers])
    return _combined(replace(progress, answers=answers))


def without_responder(progress: RoleProgress, responder: str, rest: tuple[str, ...]) -> RoleProgress:
    """Remove a responder that left; `rest` are the remaining ones of its role."""
    if not rest:
        return start(progress, LAST_RESPONDER_LEFT[progress.state], ())
    answers = tuple([answer for answer in progress.answers if answer.responder != responder])
    if len(answers) == len(progress.answers):
        return progress
    return _combined(replace(progress, answers=answers))


def _combined(progress: RoleProgress) -> RoleProgress:
    if progress.state not in ANSWERS_COMBINED or any(answer.state == PENDING for answer in progress.answers):
        return progress
    decisive, then, otherwise = ANSWERS_COMBINED[progress.state]
    state = then if any(answer.state == decisive for answer in progress.answers) else otherwise
    reasons = [answer.reason for answer in progress.answers if answer.state == ANSWER_FAILED and answer.reason]
    return replace(progress, state=state, reason="; ".join(reasons))


def roles_of(version: PipelineVersion) -> tuple[tuple[str, RoleProgress], tuple[str, RoleProgress]]:
    """Return each role with its progress, the dataflow engine first."""
    return (ENGINE_ROLE, version.engine), (GATEWAY_ROLE, version.gateway)


def progress_of(version: PipelineVersion, role: str) -> RoleProgress:
    """Return the progress of one role."""
    return version.engine if role == ENGINE_ROLE else version.gateway


def with_progress(version: PipelineVersion, role: str, progress: RoleProgress) -> PipelineVersion:
    """Return the version with this progress of one role."""
    return replace(version, engine=progress) if role == ENGINE_ROLE else replace(version, gateway=progress)

"""How the responders of one role realise a pipeline version: asked, answering, combined."""

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
    """Ask all responders (names ascending) for the operation; without any, the axis waits or is done at once."""
    if not responders:
        state, reason = WITHOUT_RESPONDERS[operation]
        return RoleProgress(state, progress.sequence, (), reason)
    answers = tuple([Answer(name, PENDING, "") for name in responders])
    return RoleProgress(REQUESTED[operation], progress.sequence + 1, answers, "")


def with_answer(progress: RoleProgress, answer: Answer) -> RoleProgress:
    """Record what one of the asked responders says."""
    answers = tuple([answer if other.responder == answer.responder else other for other in progress.answers])
    return _combined(replace(progress, answers=answers))


def without_responder(progress: RoleProgress, responder: str, rest: tuple[str, ...]) -> RoleProgress:
    """Go on without a responder; `rest` are those of its role that are left."""
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

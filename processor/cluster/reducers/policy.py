"""The change of the policy."""

from processor.cluster.agenda import agenda_of
from processor.cluster.draft import Draft
from processor.cluster.entities import Policy
from processor.cluster.events import PolicyChanged
from processor.cluster.failures import retry_time
from processor.cluster.kinds import SECTIONS


def policy_changed(draft: Draft, event: PolicyChanged) -> None:
    """Replace the policy; a different retry limit schedules all retries again."""
    draft.policy = Policy(**{field: getattr(event, field) for field in Policy.__struct_fields__})
    if draft.policy.retry_limit != draft.state.policy.retry_limit:
        times = {}
        for key in sorted(draft.state.failures):
            failure = draft.state.failures[key]
            entity = getattr(draft.state, SECTIONS[failure.kind]).get(failure.name)
            time = retry_time(failure, entity, draft.policy.retry_limit)
            if time is not None:
                times[key] = time
        draft.retries = agenda_of(times)

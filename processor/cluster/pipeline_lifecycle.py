"""The lifecycle of pipelines as tables: the progress of one role, and the status of a version.

The diagrams of the documentation are drawn from these tables, as from those of `lifecycle`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from processor.cluster.lifecycle import FAILED, TERMINATE_FAILED, TERMINATED, TERMINATING
from processor.cluster.statuses import Rules, otherwise

ENGINE_ROLE: Final = "dataflow_engine"
GATEWAY_ROLE: Final = "pipeline_gateway"

CREATE: Final = "create"
REBALANCE: Final = "rebalance"
DELETE: Final = "delete"

TO_CREATE: Final = "Create"
CREATING: Final = "Creating"
READY: Final = "Ready"
REBALANCING: Final = "Rebalancing"

PENDING: Final = "pending"
SUCCEEDED: Final = "succeeded"
ANSWER_FAILED: Final = "failed"
NO_RESPONDERS: Final = "no_responders"

UP: Final = frozenset({READY, REBALANCING})
ENDING: Final = frozenset({TERMINATING, TERMINATED, TERMINATE_FAILED})
MODELS_UNAVAILABLE: Final = "ModelsUnavailable"

REQUESTED: Final[Mapping[str, str]] = MappingProxyType({CREATE: CREATING, REBALANCE: REBALANCING, DELETE: TERMINATING})
"""Operation → the state of a role whose responders have been asked for it."""

WITHOUT_RESPONDERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {CREATE: (TO_CREATE, NO_RESPONDERS), REBALANCE: (TO_CREATE, NO_RESPONDERS), DELETE: (TERMINATED, "")}
)
"""Operation → state and reason of a role that has no responder to ask."""

RESPONDER_JOINED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys((TO_CREATE, CREATING, FAILED), CREATE),
        **dict.fromkeys((READY, REBALANCING), REBALANCE),
        **dict.fromkeys((TERMINATING, TERMINATE_FAILED), DELETE),
    }
)
"""State of a role → what its responders are asked for when one more connects; a state that is missing: nothing."""

LAST_RESPONDER_LEFT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys((TO_CREATE, CREATING, READY, REBALANCING, FAILED), CREATE),
        **dict.fromkeys(ENDING, DELETE),
    }
)
"""State of a role whose last responder leaves → the operation that is then without responders."""

RETRIED: Final[Mapping[str, str]] = MappingProxyType({FAILED: CREATE, TERMINATE_FAILED: DELETE})
"""State of a role that is tried again after a while → what its responders are asked for."""

ANSWERS_COMBINED: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        **dict.fromkeys((CREATING, REBALANCING, READY), (SUCCEEDED, READY, FAILED)),
        TERMINATING: (ANSWER_FAILED, TERMINATE_FAILED, TERMINATED),
    }
)
"""State of a role that has all its answers → the answer that decides, the next state if there is one, and if not."""


class PipelineFacts(Struct, frozen=True, gc=False):
    """What the status of a pipeline's version depends on: the states of its two roles, and whether its models serve."""

    engine: str
    gateway: str
    models_ready: bool

    @property
    def states(self) -> frozenset[str]:
        """The states that its roles are in."""
        return frozenset((self.engine, self.gateway))


def _has_failed(facts: PipelineFacts) -> bool:
    """Tell whether a role has failed."""
    return FAILED in facts.states


def _is_not_up(facts: PipelineFacts) -> bool:
    """Tell whether a role is not up yet."""
    return not facts.states <= UP


def _has_its_models(facts: PipelineFacts) -> bool:
    """Tell whether all its models serve."""
    return facts.models_ready


def _could_not_be_deleted(facts: PipelineFacts) -> bool:
    """Tell whether a role could not be deleted."""
    return TERMINATE_FAILED in facts.states


def _is_gone(facts: PipelineFacts) -> bool:
    """Tell whether both roles are deleted."""
    return facts.states == {TERMINATED}


PIPELINE_LIVE_STATUS: Final[Rules[PipelineFacts]] = (
    (FAILED, _has_failed),
    (CREATING, _is_not_up),
    (READY, _has_its_models),
    (MODELS_UNAVAILABLE, otherwise),
)
"""The status of a version that is wanted: the latest, and an older one until a role of it is being deleted."""

PIPELINE_ENDING_STATUS: Final[Rules[PipelineFacts]] = (
    (TERMINATE_FAILED, _could_not_be_deleted),
    (TERMINATED, _is_gone),
    (TERMINATING, otherwise),
)
"""The status of a version of a deleted pipeline, or of an older version that is being deleted."""

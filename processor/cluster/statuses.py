"""The statuses of pipelines and experiments as tables; those of a model's versions stand in `lifecycle`."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import Struct

from processor.cluster.entities import Experiment
from processor.cluster.lifecycle import (
    CREATING,
    FAILED,
    READY,
    TERMINATE_FAILED,
    TERMINATED,
    TERMINATING,
    UP,
)

T = TypeVar("T")
Rules = tuple[tuple[str, Callable[[T], bool]], ...]

MODELS_UNAVAILABLE: Final = "ModelsUnavailable"
ACTIVE: Final = "Active"
PENDING: Final = "Pending"
STOPPED: Final = "Stopped"


class PipelineFacts(Struct, frozen=True, gc=False):
    """What the status of a pipeline's version depends on: the states of its two axes, and whether its models serve."""

    engine: str
    gateway: str
    models_ready: bool

    @property
    def axes(self) -> frozenset[str]:
        """The states that its axes are in."""
        return frozenset((self.engine, self.gateway))


def status_of(rules: Rules[T], facts: T) -> str:
    """Return the status of the first rule that holds; the last one of a table always does."""
    return next(status for status, holds in rules if holds(facts))


def _has_failed(facts: PipelineFacts) -> bool:
    """Tell whether an axis has failed."""
    return FAILED in facts.axes


def _is_not_up(facts: PipelineFacts) -> bool:
    """Tell whether an axis is not up yet."""
    return not facts.axes <= UP


def _has_its_models(facts: PipelineFacts) -> bool:
    """Tell whether all its models serve."""
    return facts.models_ready


def _could_not_be_deleted(facts: PipelineFacts) -> bool:
    """Tell whether an axis could not be deleted."""
    return TERMINATE_FAILED in facts.axes


def _is_gone(facts: PipelineFacts) -> bool:
    """Tell whether both axes are deleted."""
    return facts.axes == {TERMINATED}


def _otherwise(_: Any) -> bool:
    """Tell whether nothing above holds."""
    return True


PIPELINE_LIVE_STATUS: Final[Rules[PipelineFacts]] = (
    (FAILED, _has_failed),
    (CREATING, _is_not_up),
    (READY, _has_its_models),
    (MODELS_UNAVAILABLE, _otherwise),
)
"""The status of a version that is wanted: the latest, and an older one until an axis of it is being deleted."""

PIPELINE_ENDING_STATUS: Final[Rules[PipelineFacts]] = (
    (TERMINATE_FAILED, _could_not_be_deleted),
    (TERMINATED, _is_gone),
    (TERMINATING, _otherwise),
)
"""The status of a version of a deleted pipeline, or of an older version that is being deleted."""


def _is_stopped(experiment: Experiment) -> bool:
    """Tell whether it was stopped."""
    return experiment.deleted


def _is_active(experiment: Experiment) -> bool:
    """Tell whether its routes are wanted and applied."""
    return experiment.active


def _could_not_be_routed(experiment: Experiment) -> bool:
    """Tell whether the router could not apply the routes that are wanted now."""
    return experiment.status == FAILED


EXPERIMENT_STATUS: Final[Rules[Experiment]] = (
    (STOPPED, _is_stopped),
    (ACTIVE, _is_active),
    (FAILED, _could_not_be_routed),
    (PENDING, _otherwise),
)
"""The status of an experiment, of which `active` is true to now and a status Failed stands for the latest report."""

"""Tables of status rules, and the statuses of experiments."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from processor.cluster.entities import Experiment
from processor.cluster.lifecycle import FAILED

T = TypeVar("T")
Rules = tuple[tuple[str, Callable[[T], bool]], ...]

ACTIVE: Final = "Active"
PENDING: Final = "Pending"
STOPPED: Final = "Stopped"


def status_of(rules: Rules[T], facts: T) -> str:
    """Return the status of the first rule that holds; the last one of a table always does."""
    return next(status for status, holds in rules if holds(facts))


def otherwise(_: Any) -> bool:
    """Tell whether nothing above holds."""
    return True


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
    (PENDING, otherwise),
)
"""The status of an experiment, whose `active` is current and whose status Failed means a failed latest report."""

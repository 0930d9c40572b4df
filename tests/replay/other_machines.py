"""State machines that are almost ours, for what-if replays of tests."""

from typing import Any

from processor.cluster.events import Event, ModelLoadRequested
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State


class NoChurn(ClusterMachine):
    """Refuses to load the model `churn`."""

    def apply(self, state: State, event: Event) -> State | Rejected:
        if isinstance(event, ModelLoadRequested) and event.model == "churn":
            return Rejected("unwanted", "no churn here")
        return super().apply(state, event)


class Broken(ClusterMachine):
    """Fails at every event."""

    def apply(self, state: State, event: Event) -> State | Rejected:
        raise ArithmeticError(f"{type(event).__name__} {type(state).__name__}")


NOTHING: Any = object()

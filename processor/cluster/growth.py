"""Which events bring contents for an entity and which release something: the engine limits the size by it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processor.cluster import events

_SUBJECTS: Final[Mapping[type[events.Event], str]] = MappingProxyType(
    {
        events.ServerDeclared: "server",
        events.ServerReplicaConnected: "server",
        events.ModelLoadRequested: "model",
        events.ModelScaleRequested: "model",
        events.PipelineLoadRequested: "pipeline",
        events.ExperimentStartRequested: "experiment",
    }
)
"""Event → the kind that it brings contents for; the field of the same name holds the entity's name."""

_FREEING: Final = frozenset(
    {
        *(events.ServerRemoved, events.ServerReplicaDisconnected, events.ServerReplicaDraining),
        *(events.ModelUnloadRequested, events.ModelReplicaUnloading, events.ModelReplicaUnloaded),
        *(events.PipelineUnloadRequested, events.ExperimentStopRequested, events.ResponderDisconnected),
        events.ClockTicked,
    }
)


def subject(event: events.Event) -> str | None:
    """Return the key of the entity that an event brings contents for, None if it brings none."""
    kind = _SUBJECTS.get(type(event))
    return None if kind is None or _scales_down(event) else f"{kind}/{getattr(event, kind)}"


def frees(event: events.Event) -> bool:
    """Tell whether an event releases something or reports on a release; size limits must not reject it."""
    return type(event) in _FREEING or _scales_down(event)


def _scales_down(event: events.Event) -> bool:
    return isinstance(event, events.ModelScaleRequested) and event.direction == "down"

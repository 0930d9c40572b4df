"""A second state machine for the same engine: the last reading of every device, announced when it changes.

It shares nothing with the cluster domain. What a state machine needs: immutable states, the very same object when
nothing changed, rejections as values, and a diff of what was touched since `begin`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import immutables
import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Name = Annotated[str, Field(min_length=1, max_length=253)]
Op = Literal["create", "update", "delete"]


class DeviceReported(BaseModel):
    """A device sent a reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    at_ms: int
    device: Name
    reading: int


class DeviceRetired(BaseModel):
    """A device was removed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    at_ms: int
    device: Name


Event = DeviceReported | DeviceRetired
EVENT_TYPES: Mapping[str, type[Event]] = {"DeviceReported": DeviceReported, "DeviceRetired": DeviceRetired}


class InvalidEvent(ValueError):
    """The data of an event is invalid, whatever the state."""


class Device(msgspec.Struct, frozen=True, gc=False):
    """The twin of one device: its last reading, the time of that reading, and the number of changes."""

    name: str
    reading: int
    since_ms: int
    changes: int


class DeviceTransition(msgspec.Struct, frozen=True, gc=False):
    """`ReadingChanged{from}` has the previous reading; `DeviceAdded` and `DeviceRemoved` have no attributes."""

    type: str
    before: int | None = msgspec.field(default=None, name="from")


class Change(msgspec.Struct, frozen=True, gc=False):
    """One device before and after."""

    kind: str
    name: str
    op: Op
    before: Device | None
    after: Device | None
    transitions: tuple[DeviceTransition, ...]

    @property
    def key(self) -> str:
        """`<kind>/<name>`."""
        return f"{self.kind}/{self.name}"


class Rejected(msgspec.Struct, frozen=True):
    """An event that the state refuses."""

    code: str
    message: str


Touched = tuple[str, Device | None, Device | None, Any] | tuple[()]
"""Name, the device before and the one put there, and what was touched before that; () is the end."""


class Twins(msgspec.Struct, frozen=True, eq=False):
    """All devices by name; `base` is the table at the last `begin`, `touched` a chain of what was put since."""

    devices: immutables.Map[str, Device]
    base: immutables.Map[str, Device]
    touched: Touched = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Twins) and self.devices == other.devices

    def __hash__(self) -> int:
        return hash(self.devices)


def parse_event(type_name: str, at_ms: int, data: Mapping[str, Any]) -> Event:
    """Return the event of this name. Raises InvalidEvent."""
    kind = EVENT_TYPES.get(type_name)
    if kind is None or "at_ms" in data:
        raise InvalidEvent(f"{type_name} with {sorted(data)} is no event")
    try:
        return kind(at_ms=at_ms, **data)
    except ValidationError as error:
        raise InvalidEvent(str(error)) from error


class DeviceTwins:
    """The state machine."""

    version = 1
    rejection: type = Rejected
    entity_types: Mapping[str, type] = {"device": Device}

    def empty(self) -> Twins:
        """Return the state without devices."""
        return _untouched(immutables.Map())

    def load(self, entities: Iterable[tuple[str, Any]]) -> Twins:
        """Build the state from its entities."""
        return _untouched(immutables.Map((device.name, device) for _, device in entities))

    def entities(self, state: Twins) -> Iterator[tuple[str, Device]]:
        """Yield every device with its key, ascending."""
        for name in sorted(state.devices):
            yield f"device/{name}", state.devices[name]

    def begin(self, state: Twins) -> Twins:
        """Forget what was touched."""
        return _untouched(state.devices) if state.touched else state

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        """Reduce one event."""
        known = state.devices.get(event.device)
        if isinstance(event, DeviceRetired):
            if known is None:
                return Rejected("unknown_target", f"no device {event.device}")
            return _with(state, event.device, None)
        if known is not None and known.reading == event.reading:
            return state
        changes = known.changes + 1 if known else 0
        return _with(state, event.device, Device(event.device, event.reading, event.at_ms, changes))

    def diff(self, before: Twins, after: Twins) -> tuple[Change, ...]:
        """Return a change for every device that differs, by name."""
        descends = after.base is before.devices
        touched = {name for _, name, _, _ in self.puts(before, after)}
        names = touched if descends else {*before.devices, *after.devices}
        pairs = ((name, before.devices.get(name), after.devices.get(name)) for name in sorted(names))
        return tuple(_change(name, old, new) for name, old, new in pairs if old != new)

    def puts(self, before: Twins, after: Twins) -> Iterator[tuple[str, str, Device | None, Device | None]]:
        """Yield (kind, name, device before, device after) of everything put since `before`, the newest first."""
        end, link = before.touched, after.touched
        while link and link is not end:
            name, old, new, link = link
            yield "device", name, old, new

    def subject(self, event: Event) -> str | None:
        """Return the key of the device that a reading is of; whoever retires one brings nothing."""
        return f"device/{event.device}" if isinstance(event, DeviceReported) else None

    def frees(self, event: Event) -> bool:
        """Tell whether a device goes."""
        return isinstance(event, DeviceRetired)

    def due_ms(self, state: Twins) -> int | None:
        """Never: nothing here waits for time."""
        del state
        return None


def _untouched(devices: immutables.Map[str, Device]) -> Twins:
    return Twins(devices, devices)


def _with(state: Twins, name: str, device: Device | None) -> Twins:
    devices = state.devices.delete(name) if device is None else state.devices.set(name, device)
    return Twins(devices, state.base, (name, state.devices.get(name), device, state.touched))


def _change(name: str, old: Device | None, new: Device | None) -> Change:
    if old is None:
        return Change("device", name, "create", None, new, (DeviceTransition("DeviceAdded"),))
    if new is None:
        return Change("device", name, "delete", old, None, (DeviceTransition("DeviceRemoved"),))
    moved = (DeviceTransition("ReadingChanged", old.reading),) if old.reading != new.reading else ()
    return Change("device", name, "update", old, new, moved)

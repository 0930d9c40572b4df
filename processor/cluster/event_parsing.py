"""The border of the state generator: data of unknown quality becomes a well-formed event, or `InvalidEvent`.

Everything behind this module trusts its events: ranges, names and enumerations are checked here, once.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from processor.cluster.events import EVENT_TYPES, Event


class InvalidEvent(ValueError):
    """An event that fails the border checks; the message says which field and why."""


_VALIDATORS: Final = {name: event.__pydantic_validator__.validate_python for name, event in EVENT_TYPES.items()}


def parse_event(type_name: str, at_ms: int, data: Mapping[str, Any]) -> Event:
    """Check and build one event. Raises InvalidEvent for everything the border refuses.

    `available_memory` None on ServerReplicaConnected means all of `memory` (the null of its binary form); the JSON
    form has no such null, see `parse_json_event`.
    """
    validate = _VALIDATORS.get(type_name)
    if validate is None:
        raise InvalidEvent(f"unknown event type {type_name!r}")
    if "at_ms" in data:
        raise InvalidEvent("at_ms: not a field of the data")
    try:
        event: Event = validate({**data, "at_ms": at_ms})
    except ValidationError as error:
        raise InvalidEvent(_explanation(error)) from error
    return event


def parse_json_event(type_name: str, at_ms: int, data: Any) -> Event:
    """Check and build one event from plain JSON, where only `mirror` may be null. Raises InvalidEvent."""
    if not isinstance(data, dict):
        raise InvalidEvent("data: not an object")
    if data.get("available_memory", 0) is None:
        raise InvalidEvent("available_memory: null is no integer")
    return parse_event(type_name, at_ms, data)


def encodable(text: str) -> str:
    """Return the text with what no encoding can carry (lone surrogates) as question marks."""
    return text.encode("utf-8", "replace").decode()


def _explanation(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "data"
    return encodable(f"{field}: {first['msg']}")

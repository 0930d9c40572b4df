"""What actors hear and say: announcements read from the changes topic, events for the input topics."""

from collections.abc import Mapping
from typing import Any

import msgspec

CHANGED = "Changed"


class Notice(msgspec.Struct, frozen=True):
    """One changed entity; `transitions` hold only the attributes that apply, `after` is None when it went."""

    kind: str
    name: str
    after: Mapping[str, Any] | None
    transitions: tuple[Mapping[str, Any], ...]

    def of_type(self, *types: str) -> list[Mapping[str, Any]]:
        """Return the transitions of these types, in order."""
        return [transition for transition in self.transitions if transition["type"] in types]


class Event(msgspec.Struct, frozen=True):
    """An event to submit; `data` as in its JSON form."""

    type: str
    data: Mapping[str, Any]

    def subject(self) -> str:
        """Return what it is about in a few words, for people."""
        names = [str(self.data[field]) for field in ("model", "pipeline", "experiment", "server") if field in self.data]
        if "replica" in self.data:
            names[-1] = f"{names[-1]}/{self.data['replica']}"
        if "version" in self.data:
            names[0] = f"{names[0]}:{self.data['version']}"
        return " on ".join(names) or str(self.data.get("responder", ""))


class Garbage(msgspec.Struct, frozen=True):
    """A record that no decoder can read."""

    value: bytes


Line = Event | Garbage


def notice_of(key: str, type_name: str, record: Mapping[str, Any]) -> Notice | None:
    """Read a decoded record of the changes topic, given its full name; None when it is no change (a rejection)."""
    if not type_name.endswith(CHANGED):
        return None
    kind, _, name = key.partition("/")
    transitions = tuple(
        {field: value for field, value in transition.items() if value is not None}
        for transition in record["transitions"]
    )
    return Notice(kind, name, record["after"], transitions)

"""What a schema registry might know: honest schemas by id and by GUID, and some that nobody should have registered."""

import json
from typing import Any, Final

from processor.avro.framing import SchemaId
from processor.avro.schema import Schema, parse_schema
from tests.checker.single_object import SCHEMAS_DIRECTORY

HONEST_ID: Final = 7
STATE_ID: Final = 8
RECURSIVE_ID: Final = 66
NULLS_ID: Final = 67
EMPTY_RECORDS_ID: Final = 68
FIXED_ID: Final = 69
OTHER_TYPE_ID: Final = 70
UNKNOWN_ID: Final = 0x2A
HONEST_GUID: Final = bytes(range(16))
UNKNOWN_GUID: Final = b"\xff" * 16


def known() -> dict[SchemaId, Schema]:
    """Return the schemas of the registry."""
    honest = _file("events/ModelLoadRequested")
    return {
        HONEST_ID: honest,
        HONEST_GUID: honest,
        STATE_ID: _file("state/Responder"),
        RECURSIVE_ID: _tick([("next", ["null", "ClockTicked"])]),
        NULLS_ID: _tick([("nothing", {"type": "array", "items": "null"})]),
        EMPTY_RECORDS_ID: _tick(
            [("nothing", {"type": "array", "items": {"type": "record", "name": "Nothing", "fields": []}})]
        ),
        FIXED_ID: _tick([("huge", {"type": "fixed", "name": "Huge", "size": 1 << 40})]),
        OTHER_TYPE_ID: parse_schema(
            {
                "type": "record",
                "name": "processor.events.ModelRouteApplied",
                "fields": [{"name": "model", "type": "long"}, {"name": "route_revision", "type": "long"}],
            }
        ),
    }


def _tick(fields: list[tuple[str, Any]]) -> Schema:
    """Return a version of the smallest event that has more than it should."""
    listed = [{"name": name, "type": type_} for name, type_ in fields]
    return parse_schema({"type": "record", "name": "processor.events.ClockTicked", "fields": listed})


def _file(name: str) -> Schema:
    return parse_schema(json.loads((SCHEMAS_DIRECTORY / f"{name}.avsc").read_text()))

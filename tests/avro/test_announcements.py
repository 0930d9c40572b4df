import json
from pathlib import Path
from typing import Any

import pytest

from processor.avro.announcements import ChangeWriter, RejectionWriter
from processor.avro.schema import Schema, SchemaInvalid, parse_schema
from tests.avro.shop import PROJECT, changed, current_entity, field

ENTITY = parse_schema(current_entity())


def altered(place: int, **changes: Any) -> Schema:
    definition = changed(current_entity())
    definition["fields"][place] |= changes
    return parse_schema(definition)


def test_the_change_schema_as_it_is_fits() -> None:
    ChangeWriter(parse_schema(changed(current_entity())), ENTITY)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (altered(0, name="operation"), "has the fields operation"),
        (altered(2, type=["null", "string"]), "stand by itself|differs"),
        (altered(2, type="shop.state.TopShelf"), "stands there as"),
        (altered(3, type="string"), "no array"),
        (altered(4, type="string"), "not a record"),
    ],
)
def test_another_shape_is_refused_at_start(schema: Schema, reason: str) -> None:
    with pytest.raises(SchemaInvalid, match=reason):
        ChangeWriter(schema, ENTITY)


def test_a_rejection_schema_of_another_shape_is_refused_at_start() -> None:
    path: Path = PROJECT / "schemas/changes/EventRejected.avsc"
    definition = json.loads(path.read_text())
    RejectionWriter(parse_schema(definition))
    definition["fields"].append(field("more", "string"))
    with pytest.raises(SchemaInvalid, match="more"):
        RejectionWriter(parse_schema(definition))

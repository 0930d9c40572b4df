from pathlib import Path
from typing import Any

import msgspec
import pytest

from processor.avro.binding import bind_fields, bind_record, bound_structs, item_annotation, without_none
from processor.avro.schema import SchemaInvalid, parse_schema
from tests.avro.shop import Item, ItemMoved, Owner, Tag, TopShelf, current_entity, shop_catalogue

SHELF = parse_schema(current_entity())


class Swapped(msgspec.Struct):
    since_ms: int
    name: str


class Listed(msgspec.Struct):
    name: str
    tags: list[Tag]


def test_a_struct_of_the_same_shape_is_bound_all_the_way_down() -> None:
    assert bound_structs(SHELF, TopShelf) == {
        "shop.state.TopShelf": TopShelf,
        "shop.state.Item": Item,
        "shop.state.Tag": Tag,
        "shop.state.Owner": Owner,
    }


@pytest.mark.parametrize("struct", [Swapped, Owner, Tag, dict, int])
def test_a_struct_of_another_shape_is_refused(struct: type) -> None:
    with pytest.raises(SchemaInvalid, match="TopShelf"):
        bound_structs(SHELF, struct)


def test_the_order_of_fields_counts() -> None:
    with pytest.raises(SchemaInvalid, match="Swapped"):
        bind_record(SHELF.names["shop.state.Owner"], Swapped, {})


def test_a_field_may_have_another_name_where_the_struct_says_so(tmp_path: Path) -> None:
    changed = shop_catalogue(tmp_path).require("shop.changes.TopShelfChanged")
    bound = bind_fields(changed.names["shop.changes.TopShelfTransition"], ItemMoved, {})
    assert [(field.name, field.attribute) for field in bound] == [
        *(("type", None), ("sku", "sku"), ("from", "from_"), ("count", None)),
    ]


def test_a_field_may_have_another_name_where_the_caller_says_so() -> None:
    definition = {"name": "R", "fields": [{"name": "title", "type": "string"}, {"name": "value", "type": "string"}]}
    assert [field.attribute for field in bind_record(definition, Tag, {"title": "name"})] == ["name", "value"]


def test_a_field_that_the_record_lacks_is_named() -> None:
    definition = {"name": "R", "fields": [{"name": "name", "type": "string"}]}
    with pytest.raises(SchemaInvalid, match="value"):
        bind_fields(definition, Tag, {})


@pytest.mark.parametrize("annotation", [list[int], tuple[int, int], tuple[int], int, None])
def test_an_array_is_held_by_a_tuple_of_any_length(annotation: Any) -> None:
    with pytest.raises(SchemaInvalid, match="tuple"):
        item_annotation(annotation)
    assert item_annotation(tuple[int, ...]) is int


def test_a_struct_with_a_list_is_refused() -> None:
    fields = [{"name": "name", "type": "string"}, {"name": "tags", "type": {"type": "array", "items": "string"}}]
    schema = parse_schema({"type": "record", "name": "R", "fields": fields})
    with pytest.raises(SchemaInvalid, match="list"):
        bound_structs(schema, Listed)


def test_what_is_optional_is_held_by_what_may_be_none() -> None:
    assert without_none(int | None) is int
    assert without_none(int) is int
    assert without_none(tuple[int, ...]) == tuple[int, ...]

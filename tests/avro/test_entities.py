from typing import Any

import msgspec
import pytest
from hypothesis import given

from processor.avro.catalogue import Catalogue
from processor.avro.entities import EntityCodec
from processor.avro.framing import Unframed, single_object_prefix
from processor.avro.schema import parse_schema
from processor.avro.wire import Malformed
from tests.avro.random_schemas import reference_bytes, values
from tests.avro.shop import Item, Owner, Tag, TopShelf, current_entity, older_entity

CURRENT = parse_schema(current_entity())
OLDER = parse_schema(older_entity())
OTHER = parse_schema({"type": "record", "name": "shop.state.Other", "fields": [{"name": "name", "type": "string"}]})
CODEC = EntityCodec(Catalogue([CURRENT, OTHER], [OLDER]), CURRENT, TopShelf)
SHELF = TopShelf(
    name="tea",
    open=True,
    limit=3,
    owner=Owner("ann", 5),
    items=(Item("s1", 2, (Tag("kind", "green"),)), Item("s2", 0, ())),
    words=("a", "b"),
    ratio=0.5,
)


@given(values(CURRENT))
def test_an_entity_comes_back_equal(data: Any) -> None:
    entity = msgspec.convert(data, TopShelf)
    value = CODEC.write(entity)
    assert value == single_object_prefix(CURRENT) + reference_bytes(CURRENT, data)
    assert CODEC.read(value) == entity


def test_what_comes_back_is_immutable_all_the_way_down() -> None:
    assert isinstance(hash(CODEC.read(CODEC.write(SHELF))), int)


@given(values(OLDER))
def test_a_value_of_an_older_schema_is_resolved(data: Any) -> None:
    value = single_object_prefix(OLDER) + reference_bytes(OLDER, data)
    kept = {name: content for name, content in data.items() if name != "colour"}
    assert CODEC.read(value) == msgspec.convert({**kept, "words": [], "ratio": 1.0}, TopShelf)


def test_an_older_value_is_checked_as_strictly() -> None:
    data = {"colour": "red", "name": "tea", "open": True, "limit": None, "owner": None, "items": []}
    value = single_object_prefix(OLDER) + reference_bytes(OLDER, data)
    assert CODEC.read(value).name == "tea"
    with pytest.raises(Malformed, match="1 bytes too many"):
        CODEC.read(value + b"\x00")


def test_trailing_and_missing_bytes_are_named() -> None:
    with pytest.raises(Malformed, match="1 bytes too many"):
        CODEC.read(CODEC.write(SHELF) + b"\x00")
    with pytest.raises(Malformed, match=r"ratio.*ends 1 bytes early"):
        CODEC.read(CODEC.write(SHELF)[:-1])


def test_another_record_is_refused() -> None:
    with pytest.raises(Malformed, match="Other"):
        CODEC.read(single_object_prefix(OTHER) + reference_bytes(OTHER, {"name": "x"}))


@pytest.mark.parametrize("value", [b"", b"{}", b"\xc3\x01" + bytes(8)])
def test_a_value_of_no_known_schema_is_refused(value: bytes) -> None:
    with pytest.raises(Unframed):
        CODEC.read(value)

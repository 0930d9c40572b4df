from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.compatibility import PROMOTIONS, incompatibilities, unreadable
from processor.avro.resolution import resolve
from processor.avro.schema import Schema, parse_schema
from processor.avro.wire import Malformed
from tests.avro.evolutions import covering, evolved
from tests.avro.random_schemas import PRIMITIVES, reference_bytes, schemas


def record(*fields: dict[str, Any], name: str = "any.R", **more: Any) -> Schema:
    return parse_schema({"type": "record", "name": name, "fields": list(fields), **more})


def field(type_: Any, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


def reasons(writer: Any, reader: Any) -> list[str]:
    """Compare two types in a field of the same name."""
    return [str(found) for found in unreadable(record(field(writer)), record(field(reader)))]


def named(kind: str, name: str = "any.N", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return named("enum", symbols=list(symbols), **more)


def test_a_field_with_a_default_may_be_added() -> None:
    before, after = record(field("long")), record(field("long"), field("string", "b", default=""))
    assert incompatibilities(before, after) == ()


def test_a_field_without_default_that_is_added_breaks_reading_what_is_old_and_removed_what_is_new() -> None:
    small, large = record(field("long")), record(field("long"), field("string", "b"))
    expected = "R.b: the writer does not have it, and the reader has no default for it"
    assert [str(found) for found in incompatibilities(small, large, "BACKWARD")] == [expected]
    assert incompatibilities(small, large, "FORWARD") == ()
    assert [str(found) for found in incompatibilities(large, small, "FORWARD")] == [expected]
    assert incompatibilities(large, small, "BACKWARD") == ()
    assert len(incompatibilities(small, large)) == len(incompatibilities(large, small)) == 1


@pytest.mark.parametrize("written", PRIMITIVES)
@pytest.mark.parametrize("read", PRIMITIVES)
def test_a_primitive_is_read_as_itself_or_as_what_it_may_be_promoted_to(written: str, read: str) -> None:
    fits = written == read or (written, read) in PROMOTIONS
    assert reasons(written, read) == ([] if fits else [f"R.a: {written} is written, {read} is read"])


@pytest.mark.parametrize(
    ("written", "read", "expected"),
    [
        ("long", ["null", "long"], []),
        ("int", ["null", "long"], []),
        (["null", "long"], "long", ["R.a: null is written, long is read"]),
        (["null", "long"], ["null", "string"], ["R.a: long is written, only null or string is read"]),
        (["long", "null"], ["null", "double"], []),
        (
            {"type": "array", "items": "long"},
            {"type": "array", "items": "int"},
            ["R.a[]: long is written, int is read"],
        ),
        ({"type": "map", "values": "long"}, {"type": "map", "values": "int"}, ["R.a{}: long is written, int is read"]),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}, []),
        ({"type": "array", "items": "long"}, "long", ["R.a: array is written, long is read"]),
        (enum("A"), enum("A", "B"), []),
        (enum("A", "B"), enum("A"), ["R.a: the reader's enum has neither B nor a default"]),
        (enum("A", "B"), enum("A", default="A"), []),
        (enum("A"), "string", ["R.a: enum any.N is written, string is read"]),
        (named("fixed", size=2), named("fixed", name="elsewhere.N", size=2), []),
        (
            named("fixed", size=2),
            named("fixed", size=3),
            ["R.a: fixed any.N of 2 bytes is written, fixed any.N of 3 bytes is read"],
        ),
        (
            named("record", fields=[]),
            named("record", name="any.M", fields=[]),
            ["R.a: record any.N is written, record any.M is read"],
        ),
        (named("record", fields=[]), named("record", name="any.M", aliases=["any.N"], fields=[]), []),
        (named("record", fields=[]), named("record", name="any.M", aliases=["N"], fields=[]), []),
    ],
)
def test_the_place_of_what_does_not_fit_is_named(written: Any, read: Any, expected: list[str]) -> None:
    assert reasons(written, read) == expected


def test_the_path_leads_through_records_arrays_and_maps() -> None:
    def nested(inner: str) -> dict[str, Any]:
        return {"type": "array", "items": named("record", fields=[field({"type": "map", "values": inner}, "b")])}

    assert reasons(nested("string"), nested("long")) == ["R.a[].b{}: string is written, long is read"]


def test_a_renamed_field_is_known_by_its_alias_by_the_new_reader_alone() -> None:
    before, after = record(field("long", "old")), record(field("long", "new", aliases=["old"]))
    assert unreadable(before, after) == ()
    assert [found.path for found in unreadable(after, before)] == ["R.old"]


def test_an_alias_of_a_name_that_is_there_besides_is_no_second_source() -> None:
    before = record(field("long", "old"), field("long", "new"))
    after = record(field("long", "new", aliases=["old"]))
    assert [str(found) for found in unreadable(before, after)] == [
        "R.new: old and new are written, both are read as it"
    ]


def test_a_record_that_contains_itself_is_compared_once() -> None:
    def chain(kind: str) -> Schema:
        return record(field(kind), field(["null", "any.R"], "next"))

    assert unreadable(chain("int"), chain("long")) == ()
    assert [found.path for found in unreadable(chain("long"), chain("int"))] == ["R.a"]


def is_read(writer: Schema, reader: Schema) -> bool:
    """Tell whether the reference reads all kinds of values of the writer."""
    try:
        for data in covering(writer):
            resolve(reference_bytes(writer, data), writer, reader)
    except Malformed:
        return False
    return True


@given(st.data())
def test_the_reference_reads_exactly_what_is_said_to_be_readable(data: st.DataObject) -> None:
    before = data.draw(schemas())
    after = data.draw(evolved(before))
    assert is_read(before, after) == (unreadable(before, after) == ())
    assert is_read(after, before) == (unreadable(after, before) == ())

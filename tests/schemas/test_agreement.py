"""The state machine's types and the schemas say the same: names, order, what may be null, defaults."""

import json
import types
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from processor.avro.binding import bind_record, bound_structs
from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder, record_name
from processor.avro.decoder import AvroEventDecoder
from processor.avro.framing import single_object_prefix
from processor.avro.records import RecordCodec
from processor.avro.schema import Schema
from processor.cluster import transitions
from processor.cluster.changes import Change
from processor.cluster.event_parsing import InvalidEvent, parse_event, parse_json_event
from processor.cluster.events import EVENT_TYPES, HIGH_LANE
from processor.cluster.machine import ENTITY_TYPES
from processor.configuration.topics import load_topics
from processor.engine.announcements import ChangeSource
from processor.engine.inputs import Accepted, Invalid, Record
from tests.avro.random_schemas import reference_bytes, values

PROJECT = Path(__file__).resolve().parents[2]
CATALOGUE = Catalogue.load(PROJECT / "schemas")
EVENTS = CATALOGUE.namespace("processor.events")
ENCODER = AvroEncoder(CATALOGUE, ENTITY_TYPES)
DECODER = AvroEventDecoder(CATALOGUE, parse_event, InvalidEvent, parse_json=parse_json_event)
RECORDS = RecordCodec(CATALOGUE)
# Large records are drawn slowly; tests/avro holds the codec against any schema.
DRAWN = settings(max_examples=25)
EXAMPLES = sorted((PROJECT / "tests" / "examples").glob("*.json"))


def state(kind: str) -> Schema:
    return CATALOGUE.require(f"processor.state.{record_name(kind)}")


def changed(kind: str) -> Schema:
    return CATALOGUE.require(f"processor.changes.{record_name(kind)}Changed")


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES))
def test_every_entity_has_its_schema_all_the_way_down(kind: str) -> None:
    assert bound_structs(state(kind), ENTITY_TYPES[kind])


def test_there_is_no_schema_of_an_entity_that_is_none() -> None:
    assert set(CATALOGUE.namespace("processor.state")) == {record_name(kind) for kind in ENTITY_TYPES}


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES))
def test_every_transition_has_its_schema(kind: str) -> None:
    struct = getattr(transitions, f"{record_name(kind)}Transition")
    schema = changed(kind)
    definition = schema.names[f"processor.changes.{record_name(kind)}Transition"]
    bind_record(definition, struct, {})
    assert all(field["type"][0] == "null" for field in definition["fields"][1:])
    assert all(field["default"] is None for field in definition["fields"][1:])


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES))
@DRAWN
@given(data=st.data())
def test_every_entity_is_written_as_the_reference_writes_it_and_comes_back(data: st.DataObject, kind: str) -> None:
    plain = data.draw(values(state(kind)))
    entity: Any = msgspec.convert(plain, ENTITY_TYPES[kind])
    value = ENCODER.encode(f"{kind}/name", entity)
    assert value == single_object_prefix(state(kind)) + reference_bytes(state(kind), plain)
    assert ENCODER.decode(f"{kind}/name", value) == entity


@pytest.mark.parametrize("kind", sorted(ENTITY_TYPES))
@DRAWN
@given(data=st.data())
def test_every_change_is_written_as_the_reference_writes_it(data: st.DataObject, kind: str) -> None:
    plain = data.draw(values(changed(kind)))
    plain["op"] = data.draw(st.sampled_from(["create", "update", "delete"]))
    before, after = (msgspec.convert(plain[side], ENTITY_TYPES[kind] | None) for side in ("before", "after"))
    struct = getattr(transitions, f"{record_name(kind)}Transition")
    made = tuple(msgspec.convert(transition, struct) for transition in plain["transitions"])
    announced = ENCODER.change(
        Change(kind, "name", plain["op"], before, after, made),
        before=None if before is None else ENCODER.encode(f"{kind}/name", before),
        after=None if after is None else ENCODER.encode(f"{kind}/name", after),
        source=msgspec.convert(plain["source"], ChangeSource),
        ts_ms=plain["ts_ms"],
    )
    expected = reference_bytes(changed(kind), {**plain, "op": plain["op"][0]})
    assert announced.value == single_object_prefix(changed(kind)) + expected
    assert (announced.key, announced.type) == (f"{kind}/name", changed(kind).name)


def test_every_event_has_a_schema_and_every_schema_an_event() -> None:
    assert set(EVENTS) == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_event_has_the_fields_of_its_schema_with_their_defaults(name: str) -> None:
    agree(EVENTS[name], EVENTS[name].parsed, EVENT_TYPES[name], left_out={"at_ms"})


def agree(schema: Schema, type_: Any, annotation: Any, *, left_out: frozenset[str] | set[str] = frozenset()) -> None:
    """Compare a type of the schema with an annotation of the event, all the way down."""
    resolved = schema.resolve(type_)
    inner = [part for part in get_args(annotation) if part not in {types.NoneType, ...}]
    if isinstance(resolved, list):
        assert types.NoneType in get_args(annotation)
        agree(schema, resolved[1], inner[0])
    elif isinstance(resolved, dict) and resolved["type"] == "array":
        agree(schema, resolved["items"], inner[0])
    elif isinstance(resolved, dict) and resolved["type"] == "record":
        assert issubclass(annotation, BaseModel)
        agree_fields(schema, resolved, annotation, left_out)


def agree_fields(
    schema: Schema, definition: dict[str, Any], model: type[BaseModel], left_out: frozenset[str] | set[str]
) -> None:
    fields = {name: field for name, field in model.model_fields.items() if name not in left_out}
    assert list(fields) == [field["name"] for field in definition["fields"]]
    hints = get_type_hints(model)
    for field in definition["fields"]:
        stated = fields[field["name"]]
        agree(schema, field["type"], hints[field["name"]])
        default = stated.get_default(call_default_factory=True, validated_data={})
        assert field.get("default", PydanticUndefined) == plain_default(default), field["name"]


def plain_default(default: Any) -> Any:
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json")
    return list(default) if isinstance(default, tuple) else default


def test_the_lanes_carry_what_the_state_machine_says() -> None:
    topics = load_topics(PROJECT / "topics.yaml").by_role
    assert set(topics["high"].schemas) == HIGH_LANE
    assert set(topics["normal"].schemas) == set(EVENT_TYPES) - HIGH_LANE
    assert set(topics["changes"].schemas) == set(CATALOGUE.namespace("processor.changes"))
    assert set(topics["commits"].schemas) == set(CATALOGUE.namespace("processor.commits"))


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
@DRAWN
@given(data=st.data())
def test_whatever_fits_a_schema_is_an_event_or_refused_by_the_border(data: st.DataObject, name: str) -> None:
    value = single_object_prefix(EVENTS[name]) + reference_bytes(EVENTS[name], data.draw(values(EVENTS[name])))
    decoded = DECODER.decode(Record("in", 0, 1, 1000, b"cluster", value))
    assert isinstance(decoded, Accepted | Invalid)
    assert decoded.cause.event_type == name


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ServerReplicaConnected", "loaded_models"),
        ("ServerReplicaConnected", "capabilities"),
        ("PipelineLoadRequested", "steps"),
        ("ExperimentStartRequested", "candidates"),
    ],
)
def test_the_first_of_many_wrong_items_decides(name: str, field: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        parse_event(name, 1000, {field: [None] * 1000})
    assert isinstance(raised.value.__cause__, ValidationError)
    assert 1 <= raised.value.__cause__.error_count() < 10


def example_events() -> list[tuple[str, dict[str, Any]]]:
    cases = [case for path in EXAMPLES for case in json.loads(path.read_text())["cases"]]
    return [(event["type"], event["data"]) for case in cases for event in case["events"] if isinstance(event, dict)]


def test_every_event_of_the_worked_examples_is_the_same_as_json_and_as_avro() -> None:
    compared = 0
    for name, data in example_events():
        headers = (("content-type", b"application/json"), ("ce_type", name.encode()))
        from_json = DECODER.decode(Record("in", 0, 1, 1000, None, msgspec.json.encode(data), headers))
        if isinstance(from_json, Accepted):
            value = RECORDS.encode_record(EVENTS[name], data)
            from_avro = DECODER.decode(Record("in", 0, 1, 1000, None, value))
            assert from_avro == from_json
            compared += 1
    assert compared > 500

"""Events of other versions than the current one, from the bytes to the state machine's event."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.avro.catalogue import Catalogue
from processor.avro.compatibility import unreadable
from processor.avro.decoder import AvroEventDecoder
from processor.avro.framing import single_object_prefix
from processor.avro.resolution import resolve
from processor.avro.schema import Schema, parse_schema
from processor.cluster.event_parsing import InvalidEvent, parse_event
from processor.cluster.events import EVENT_TYPES, ModelReplicaLoadFailed
from processor.engine.inputs import Accepted, Decoded, Invalid, Record, Undecodable
from tests.avro.evolutions import evolved
from tests.avro.random_schemas import reference_bytes, values
from tests.schemas.test_agreement import EVENTS

FAILED = EVENTS["ModelReplicaLoadFailed"]
DATA: dict[str, Any] = {"model": "iris", "version": 1, "server": "s1", "replica": 0, "reason": "no disk"}


def decoded(writer: Schema, data: Any, *, current: Schema | None = None) -> Decoded:
    """Decode data of `writer`, which the catalogue knows as released, with the current schemas."""
    known = {**EVENTS, **({current.short_name: current} if current else {})}
    decoder = AvroEventDecoder(Catalogue(known.values(), [writer]), parse_event, InvalidEvent)
    value = single_object_prefix(writer) + reference_bytes(writer, data)
    return decoder.decode(Record("in", 0, 1, 1000, b"cluster", value))


def event(answer: Decoded) -> Any:
    assert isinstance(answer, Accepted)
    return answer.event


def edited(schema: Schema, **fields: dict[str, Any] | None) -> Schema:
    """Return the schema with these fields instead; None takes one away, a new one goes first."""
    definition: dict[str, Any] = copy.deepcopy(dict(schema.definition))
    stated = {field["name"]: field for field in definition["fields"]}
    new = [{"name": name, **field} for name, field in fields.items() if field is not None and name not in stated]
    for name, field in fields.items():
        if name in stated:
            stated[name] = {} if field is None else {"name": name, **field}
    return parse_schema({**definition, "fields": [*new, *filter(None, stated.values())]})


def test_what_an_old_producer_does_not_know_gets_its_default() -> None:
    older = edited(FAILED, reason=None)
    assert event(decoded(older, {**DATA, "reason": "not written"})).reason == ""


def test_what_only_a_new_producer_knows_is_left_out_and_the_rest_is_kept() -> None:
    newer = edited(FAILED, severity={"type": "string", "default": "low"})
    expected = ModelReplicaLoadFailed(at_ms=1000, **DATA)
    assert event(decoded(newer, {**DATA, "severity": "high"})) == expected == event(decoded(FAILED, DATA))


def test_what_is_not_there_any_more_is_left_out() -> None:
    older = edited(FAILED, host={"type": "string"})
    assert event(decoded(older, {**DATA, "host": "h1"})) == ModelReplicaLoadFailed(at_ms=1000, **DATA)


def test_a_smaller_number_of_an_old_producer_is_read_as_the_larger_one() -> None:
    older = edited(FAILED, version={"type": "int"})
    assert event(decoded(older, {**DATA, "version": 2**31 - 1})).version == 2**31 - 1


def test_a_field_that_was_renamed_is_found_by_its_alias() -> None:
    older = edited(FAILED, reason=None, why={"type": "string"})
    current = edited(FAILED, reason={"type": "string", "default": "", "aliases": ["why"]})
    assert event(decoded(older, {**DATA, "why": "no disk"}, current=current)).reason == "no disk"


def test_a_word_that_is_new_is_refused_at_the_border_and_not_taken_for_another() -> None:
    data = {"model": "iris", "version": 1, "direction": "sideways"}
    answer = decoded(edited(EVENTS["ModelScaleRequested"], by={"type": "long", "default": 1}), {**data, "by": 2})
    assert isinstance(answer, Invalid)
    assert answer.message.startswith("direction:")


def test_a_version_that_lacks_what_is_required_is_undecodable() -> None:
    answer = decoded(edited(FAILED, server=None), DATA)
    assert isinstance(answer, Undecodable)
    assert answer.code == "undecodable"
    assert "server" in answer.message


@settings(max_examples=150)
@given(st.sampled_from(sorted(EVENT_TYPES)), st.data())
def test_an_event_of_a_version_that_is_readable_is_the_same_as_if_it_were_of_the_current_one(
    name: str, data: st.DataObject
) -> None:
    current = EVENTS[name]
    other = data.draw(evolved(current))
    plain = data.draw(values(other))
    answer = decoded(other, plain)
    if unreadable(other, current) or '"bytes"' in other.canonical:  # bytes need not be a text
        assert isinstance(answer, Accepted | Invalid | Undecodable)
        return
    as_now = resolve(reference_bytes(other, plain), other, current)
    assert answer == decoded(current, as_now)
    assert not isinstance(answer, Undecodable)

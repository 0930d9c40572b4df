import json
from typing import Any

import pytest

from processor.avro.catalogue import Catalogue
from processor.client.codec import EventEncoder, RecordDecoder, partition_of
from processor.cluster.event_parsing import InvalidEvent
from processor.cluster.events import EVENT_TYPES
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Headers, Record

CATALOGUE = Catalogue.load(PROJECT_DIRECTORY / "schemas")
LOAD: dict[str, Any] = {"model": "iris", "spec": {"uri": "s3://x", "requirements": ["sklearn"]}}


def _record(value: bytes | None, headers: Headers = ()) -> Record:
    return Record("cluster.control-events", 0, 7, 1000, b"cluster", value, headers)


def test_what_is_encoded_is_decoded_with_every_default() -> None:
    value, headers = EventEncoder(CATALOGUE)("ModelLoadRequested", LOAD)
    assert dict(headers)["ce_type"] == b"processor.events.ModelLoadRequested"
    shown = RecordDecoder(CATALOGUE)(_record(value, headers))
    assert (shown.type, shown.error) == ("processor.events.ModelLoadRequested", "")
    assert shown.value["spec"]["instances"] == 1
    assert shown.value["deployment"]["replicas"] == 1
    assert (shown.key, shown.offset) == ("cluster", 7)


def test_a_null_is_a_field_left_out() -> None:
    start = {"experiment": "duel", "candidates": [{"name": "iris", "weight": 1}], "mirror": None}
    value, _ = EventEncoder(CATALOGUE)("ExperimentStartRequested", start)
    assert RecordDecoder(CATALOGUE)(_record(value)).value["mirror"] is None


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("Nonsense", {}),
        ("ModelLoadRequested", {}),
        ("ModelLoadRequested", {**LOAD, "colour": "red"}),
        ("ModelLoadRequested", {**LOAD, "model": "No Such Name!"}),
        ("ModelLoadRequested", {**LOAD, "generation": "1"}),
        ("ModelLoadRequested", {**LOAD, "generation": True}),
    ],
)
def test_what_the_border_refuses_is_not_encoded(event_type: str, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        EventEncoder(CATALOGUE)(event_type, data)


def test_unchecked_it_encodes_whatever_fits_the_schema() -> None:
    encode = EventEncoder(CATALOGUE, checked=False)
    assert encode("ModelLoadRequested", {**LOAD, "model": "No Such Name!"})[0]
    with pytest.raises(InvalidEvent):
        encode("ModelLoadRequested", {"model": 7})


def test_every_event_type_has_a_schema() -> None:
    assert [name for name in EVENT_TYPES if CATALOGUE.record(f"processor.events.{name}") is None] == []


def test_json_values_are_shown_as_they_are() -> None:
    headers: Headers = (("content-type", b"application/json"), ("ce_type", b"ModelLoadRequested"))
    shown = RecordDecoder(CATALOGUE)(_record(json.dumps(LOAD).encode(), headers))
    assert (shown.type, shown.value) == ("ModelLoadRequested", LOAD)


@pytest.mark.parametrize("value", [b"no event", b"", b"\xc3\x01", b"\xc3\x0112345678rest"])
def test_what_cannot_be_read_is_hex_with_a_reason(value: bytes) -> None:
    shown = RecordDecoder(CATALOGUE)(_record(value))
    assert shown.value == value.hex()
    assert shown.error


def test_broken_json_and_bytes_that_are_no_text_do_not_stop_it() -> None:
    headers: Headers = (("content-type", b"application/json"), ("x", b"\xff"), ("none", None))
    shown = RecordDecoder(CATALOGUE)(_record(b"{", headers))
    assert shown.error
    assert dict(shown.headers) == {"content-type": "application/json", "x": "\\xff", "none": None}
    assert RecordDecoder(CATALOGUE)(_record(None)).value is None


def test_a_cluster_has_a_partition() -> None:
    assert partition_of(("a", "b"), "b") == 1
    assert partition_of(("a",), None) == 0
    with pytest.raises(InvalidRequest, match="which cluster"):
        partition_of(("a", "b"), None)
    with pytest.raises(InvalidRequest, match="no cluster 'c'"):
        partition_of(("a",), "c")

"""Who looks at a topic sees hostile records, too: they are shown, whatever they are."""

import json

import pytest

from processor.avro.catalogue import Catalogue
from processor.cli.output import json_text
from processor.cli.records import line_of, row_of
from processor.client.codec import RecordDecoder
from processor.engine.inputs import Record
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.poison.catalogue import CATALOGUE
from tests.poison.kinds import ACCEPTED, Poison

DECODE = RecordDecoder(Catalogue.load(SCHEMAS_DIRECTORY))


@pytest.mark.parametrize("poison", CATALOGUE, ids=lambda poison: poison.name)
def test_a_hostile_record_is_shown_as_text_and_as_json(poison: Poison) -> None:
    record = Record("t", 0, 1, poison.timestamp_ms, poison.key, poison.value, poison.headers)
    decoded = DECODE(record)
    row = row_of(decoded)
    assert json.loads(json_text(row).encode(), parse_constant=pytest.fail)["offset"] == 1
    assert line_of(row).encode()
    assert not (decoded.error and poison.outcome == ACCEPTED)

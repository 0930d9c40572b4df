"""Hostile records, damaged further: whatever comes of it is an answer, and never a bug of the reducer's."""

from hypothesis import given
from hypothesis import strategies as st

from processor.assembly.engine import cluster_domain
from processor.avro.catalogue import Catalogue
from processor.avro.decoder import AvroEventDecoder
from processor.avro.framing import single_object_prefix
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.configuration.settings import Settings
from processor.engine.images import Images
from processor.engine.inputs import Headers, Record, Undecodable
from processor.engine.reduction import reduce_batch
from tests.avro.random_schemas import damaged
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.poison.catalogue import CATALOGUE
from tests.poison.registry import known

SMALL_BYTES_MAX = 2000
CODES = {"undecodable", "unknown_schema", "unknown_type"}
SCHEMAS = Catalogue.load(SCHEMAS_DIRECTORY)
DOMAIN = cluster_domain(Settings(), SCHEMAS)
DECODER = AvroEventDecoder(SCHEMAS, parse_json_event, InvalidEvent, resolve_id=known().get)
# hypothesis writes its examples out
SMALL = [
    poison for poison in CATALOGUE if poison.value and len(poison.value) + len(str(poison.headers)) < SMALL_BYTES_MAX
]
VALUES = st.one_of(
    st.sampled_from(SMALL).flatmap(lambda poison: damaged(poison.value or b"")),
    st.builds(bytes.__add__, st.sampled_from([single_object_prefix(one) for one in SCHEMAS]), st.binary(max_size=60)),
)
HEADERS = st.lists(st.sampled_from([poison.headers for poison in SMALL]), max_size=2)
TIMES_MS = st.sampled_from([0, 1, 1_700_000_000_000, (1 << 63) - 1])


@given(VALUES, HEADERS, TIMES_MS)
def test_damage_gives_an_event_a_rejection_or_a_dead_letter(
    value: bytes, headers: list[Headers], timestamp_ms: int
) -> None:
    record = Record("in", 0, 5, timestamp_ms, b"cluster", value, tuple(header for some in headers for header in some))
    decoded = DECODER.decode(record)
    if isinstance(decoded, Undecodable):
        assert decoded.code in CODES
    machine = DOMAIN.machine
    reduction = reduce_batch(machine, machine.empty(), [decoded], entities_max=100)
    assert [why for _, why in reduction.dead] == ([decoded] if isinstance(decoded, Undecodable) else [])
    Images(DOMAIN.encoder).encode(reduction.changes)

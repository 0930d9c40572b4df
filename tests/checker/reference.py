"""What cluster runs are compared with: the project's state machine and decoder, and fastavro for the bytes."""

from functools import cache

from processor.avro.catalogue import Catalogue
from processor.avro.decoder import AvroEventDecoder
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.cluster.machine import ClusterMachine
from tests.checker.replay import Reference
from tests.checker.single_object import SCHEMAS_DIRECTORY, Schemas


@cache
def cluster_reference() -> Reference:
    """Return the reference of the cluster domain; it holds no state of its own."""
    catalogue = Catalogue.load(SCHEMAS_DIRECTORY)
    return Reference(
        machine=ClusterMachine(),
        decoder=AvroEventDecoder(catalogue, parse_json_event, InvalidEvent),
        schemas=Schemas(SCHEMAS_DIRECTORY),
        types=ClusterMachine.entity_types,
    )

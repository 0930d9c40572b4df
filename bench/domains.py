"""The two domains by the name of their job."""

from collections.abc import Callable, Mapping

import msgspec

from bench import cluster
from examples.device_twins import machine
from examples.device_twins import run as twins
from processor.assembly.engine import Domain
from processor.avro.catalogue import Catalogue
from processor.cluster.events import EVENT_TYPES
from processor.configuration.settings import Settings


class Known(msgspec.Struct, frozen=True):
    """How a domain is made; `events` is the namespace of its records, `subject` the fields that may name an entity."""

    catalogue: Callable[[Settings], Catalogue]
    domain: Callable[[Catalogue], Domain]
    events: str
    subject: tuple[str, ...]
    event_types: frozenset[str]


DOMAINS: Mapping[str, Known] = {
    "peer": Known(twins.catalogue, twins.domain, "twins.events", ("device",), frozenset(machine.EVENT_TYPES)),
    "cluster": Known(
        cluster.catalogue, cluster.domain, "processor.events", ("model", "server"), frozenset(EVENT_TYPES)
    ),
}

"""The two domains by the name of their job."""

from collections.abc import Callable, Mapping

import msgspec

from bench import cluster
from examples.device_twins import run as twins
from processor.assembly import Domain
from processor.avro.catalogue import Catalogue
from processor.settings import Settings


class Known(msgspec.Struct, frozen=True):
    """How a domain is made; `events` is the namespace of its records, `subject` the fields that may name an entity."""

    catalogue: Callable[[Settings], Catalogue]
    domain: Callable[[Catalogue], Domain]
    events: str
    subject: tuple[str, ...]


DOMAINS: Mapping[str, Known] = {
    "peer": Known(twins.catalogue, twins.domain, "twins.events", ("device",)),
    "cluster": Known(cluster.catalogue, cluster.domain, "processor.events", ("model", "server")),
}

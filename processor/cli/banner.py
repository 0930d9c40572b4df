"""The banner of an embedded processor: its limits, and how to reach it."""

from processor.assembly.backends import EmbeddedBackend
from processor.service.process import ServiceProcess

BANNER = """\
processor, embedded: broker and store are inside this process and end with it.
The broker is not Kafka: transactions neither fence nor isolate, there is no retention and no admin API,
every topic has four partitions, and the only shard reads them all. Everything else runs the production code.
  export PROCESSOR_KAFKA__BOOTSTRAP_SERVERS={servers}
"""


def embedded_banner(process: ServiceProcess) -> str:
    """Return the banner of a service that runs embedded."""
    backend = process.backend
    if not isinstance(backend, EmbeddedBackend):
        raise TypeError("this service is not embedded")
    return BANNER.format(servers=backend.kafka.bootstrap_servers)

"""What is told about an embedded processor before anything else: what it is not, and how to reach it."""

from processor.assembly.backends import EmbeddedBackend
from processor.service.process import ServiceProcess

BANNER = """\
processor, embedded: a broker and a store inside this process, gone when it ends.
It is no Kafka: transactions are accepted but neither fence nor hide, there is no retention and no admin API,
every topic has four partitions, and the one shard reads them all. Everything else runs the code of production.
  export PROCESSOR_KAFKA__BOOTSTRAP_SERVERS={servers}
"""


def embedded_banner(running: ServiceProcess) -> str:
    """Return the banner of a service that runs embedded."""
    backend = running.backend
    if not isinstance(backend, EmbeddedBackend):
        raise TypeError("this service is not embedded")
    return BANNER.format(servers=backend.kafka.bootstrap_servers)

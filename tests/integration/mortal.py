"""`processor run` that two records kill as faults in native code would: nothing of Python is asked before the end.

    python -m tests.integration.mortal

Its settings are those of the environment.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from processor.assembly.backends import ServerBackend
from processor.assembly.engine import Domain, cluster_domain
from processor.avro.catalogue import Catalogue
from processor.cli.options import settings_of
from processor.cluster.machine import ClusterMachine
from processor.configuration.topics import topic_names
from processor.engine.inputs import Decoded, Record, Undecodable
from processor.engine.ports import EventDecoder
from processor.runtime.clock import SystemClock
from processor.runtime.logs import log_function, set_up
from processor.runtime.signals import stopped_by_signals
from processor.service.process import log_step
from processor.service.shards import ShardService

DEADLY_BYTES = b"deadly to decode"
DEADLY_MODEL = "deadly-to-reduce"


class MortalDecoder:
    """Reads address 0 when it sees certain bytes."""

    def __init__(self, whole: EventDecoder) -> None:
        self._whole = whole

    def decode(self, record: Record) -> Decoded:
        """Decode, or die."""
        if record.value == DEADLY_BYTES:
            ctypes.string_at(0)
        return self._whole.decode(record)

    def identify(self, record: Record) -> Undecodable:
        """Look at the envelope, which harms nobody."""
        return self._whole.identify(record)


class MortalMachine(ClusterMachine):
    """Is killed by a certain model."""

    def apply(self, state: Any, event: Any) -> Any:
        """Reduce, or die."""
        if getattr(event, "model", "") == DEADLY_MODEL:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().apply(state, event)


def main() -> None:
    """Run the service until a signal asks it to stop, or a record kills it."""
    serve(
        lambda domain: msgspec.structs.replace(domain, machine=MortalMachine(), decoder=MortalDecoder(domain.decoder))
    )


def serve(change: Callable[[Domain], Domain]) -> None:
    """Run the service with another domain than the shipped one."""
    settings = settings_of(None).settings
    set_up(settings.log.format, settings.log.level)
    stop = threading.Event()
    clock, topics = SystemClock(stop), topic_names(settings)
    domain = change(cluster_domain(settings, Catalogue.load(settings.schemas_dir)))
    backend = ServerBackend(settings, topics, clock)
    with stopped_by_signals(stop):
        ShardService(settings, backend, domain, stop=stop, middleware=(log_step,), log=log_function()).run()


if __name__ == "__main__":
    main()

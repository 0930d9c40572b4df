"""`run`: the service."""

from typing import Annotated

from cyclopts import Parameter

from processor.cli.banner import embedded_banner
from processor.cli.options import ConfigFile, settings_of
from processor.cli.output import note
from processor.runtime.logs import set_up
from processor.runtime.signals import stopped_by_signals
from processor.service.process import ServiceProcess


def run(
    *,
    embedded: Annotated[
        bool, Parameter(negative="", help="Broker and store in this process: nothing is persisted.")
    ] = False,
    http: Annotated[str | None, Parameter(help="HOST:PORT for probes, metrics and the API.")] = None,
    once: Annotated[bool, Parameter(negative="", help="Process the waiting records, hand over and exit.")] = False,
    config: ConfigFile = None,
) -> int:
    """Own shards, process events and announce the changes until asked to stop."""
    settings = settings_of(config, http__address=http).settings
    set_up(settings.log.format, settings.log.level)
    process = ServiceProcess(settings, embedded=embedded, once=once)
    if embedded:
        note(embedded_banner(process))
    with stopped_by_signals(process.stop), process.ended_in_time():
        return process.run()

"""`dev`: broker, store and processor in one process, with or without a demo on it."""

import sys
import threading
from queue import SimpleQueue
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter

from processor.admin.shards import shard_views
from processor.admin.topics import create_missing_topics
from processor.assembly.backends import EmbeddedBackend
from processor.assembly.connections import kafka_connection, store_client
from processor.cli.banner import embedded_banner
from processor.cli.exits import Exit, usage
from processor.cli.options import NUMBER_MAX, SECONDS, ConfigFile, settings_of, within
from processor.cli.output import json_text, note
from processor.configuration.settings import Settings
from processor.demo.acts import Acts
from processor.demo.show import Show
from processor.demo.totals import Totals
from processor.demo.vacancy import await_vacancy
from processor.engine.reports import StepReport
from processor.runtime.logs import error_function, set_up
from processor.runtime.shutdown import ended_in_time
from processor.runtime.signals import stopped_by_signals
from processor.runtime.terminal import coloured
from processor.service.process import ServiceProcess


def dev(
    *,
    demo: Annotated[bool, Parameter(negative="", help="Simulate a cluster that uses it.")] = False,
    for_: Annotated[
        float | None, Parameter(name="--for", help="Seconds after which it ends; by default at Ctrl-C."), SECONDS
    ] = None,
    seed: Annotated[int, Parameter(help="Seed of the demo's random decisions."), within(0, NUMBER_MAX)] = 1,
    http: Annotated[str | None, Parameter(help="HOST:PORT for probes, metrics and the API.")] = None,
    output: Annotated[
        Literal["table", "json"], Parameter(name=["--output", "-o"], help="json: stdout holds only the summary.")
    ] = "table",
    config: ConfigFile = None,
) -> int:
    """Try the processor without any server; with --demo a simulated cluster uses it.

    With PROCESSOR_KAFKA__BOOTSTRAP_SERVERS and PROCESSOR_ETCD__ENDPOINTS both set, those servers are used instead of
    the embedded ones, and missing topics are created first.
    """
    loaded = settings_of(config, http__address=http)
    settings = loaded.settings
    real = [name for name in ("kafka.bootstrap_servers", "etcd.endpoints") if loaded.origins[name] != "default"]
    if len(real) == 1:
        raise usage(f"only {real[0]} is set: set the addresses of both Kafka and etcd for real servers, or neither")
    set_up(settings.log.format, settings.log.level)
    return _run(settings, embedded=not real, as_json=output == "json", demo=demo, for_s=for_, seed=seed)


def _run(settings: Settings, *, embedded: bool, as_json: bool, demo: bool, for_s: float | None, seed: int) -> int:
    ending = threading.Event()
    shows: list[Show] = []

    def give_up() -> None:
        for show in shows:
            show.give_up()

    watched = ended_in_time(
        ending,
        timeout_s=settings.shutdown_timeout_s,
        give_up=give_up,
        log=error_function(),
    )
    with stopped_by_signals(ending), watched:
        if not embedded:
            create_missing_topics(settings)
            _check_owner(settings, ending, demo=demo)
        show = _show(settings, embedded=embedded, stream=sys.stderr if as_json else sys.stdout)
        shows.append(show)
        if demo:
            show.play(ending, for_s=for_s, seed=seed)
        else:
            show.watch(ending, for_s=for_s)
        asked_to_end = ending.is_set()
    _sum_up(show.totals, show.acts, as_json=as_json)
    nothing_announced = demo and not (show.heard and show.totals.announced)
    return Exit.DIFFERS if nothing_announced and not asked_to_end else Exit.OK


def _show(settings: Settings, *, embedded: bool, stream: TextIO) -> Show:
    """Build the processor and its feed on `stream`, and note the servers that it works on."""
    reports: SimpleQueue[StepReport] = SimpleQueue()
    process = ServiceProcess(settings, embedded=embedded, middleware=(reports.put,))
    backend = process.backend
    connection = backend.kafka.connection() if isinstance(backend, EmbeddedBackend) else kafka_connection(settings)
    servers = connection.bootstrap_servers
    note(embedded_banner(process) if embedded else f"processor on Kafka at {servers}")
    return Show(process, reports, connection, write=lambda line: _write(stream, line), colours=coloured(stream))


def _check_owner(settings: Settings, ending: threading.Event, *, demo: bool) -> None:
    """Note the owner of each shard; a demo waits until there is none. Raises OwnershipLost if it waits in vain."""
    if demo:
        await_vacancy(settings, ending, note)
        return
    with store_client(settings) as client:
        for view in shard_views(client, settings):
            if view.owner is not None:
                note(f"shard {view.shard} ({view.cluster}) is owned by {view.owner.instance}: this process stands by")


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _sum_up(totals: Totals, acts: Acts, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(f"{json_text({**totals.document(), 'acts': acts.document()})}\n")
        return
    sys.stdout.writelines(f"\n{line}" for line in acts.lines())
    sys.stdout.write(
        f"\n{totals.events} events in {totals.commits} commits changed {totals.changes} entities; "
        f"{totals.rejected} rejected, {totals.dead_lettered} dead letters, "
        f"{totals.high_first} high records went before waiting normal ones\n"
        f"state digest {totals.digest or '-'}\n"
    )

"""Real Kafka and etcd on this machine without Docker: installed once into a cache, started on loopback ports.

    python3 docker/local/services.py up [kafka] [etcd] [--dir D] [--kafka-port P] [--etcd-port P]
    eval "$(python3 docker/local/services.py env)"
    python3 docker/local/services.py status | down | install

Needs python3 only, and where a server is not in the cache yet java and mvn (Kafka) or go (etcd). `up` returns when the
servers answer, and leaves alone what runs already. `down` ends only what `up` started in the same folder; the data
stay. Port 0 takes the port of the last start in this folder, at first any free one. Data on stdout, progress on stderr.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import etcd_server
import installation
import kafka_server
from process import ServerProcess, ServiceError, free_port, is_port_free

PROJECT = Path(__file__).resolve().parents[2]
ETCD_START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Service:
    """How one kind of server is installed, started and asked; `options` are its part of the command line."""

    name: str
    variable: str
    other_port: str
    install: Callable[[Path], Path]
    begin: Callable[[Path, Path, dict[str, int], list[str]], list[str]]
    is_ready: Callable[[int], bool]
    start_timeout_s: float


def say(message: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(message, file=sys.stderr, flush=True)


def _begin_kafka(jvm_arguments: Path, folder: Path, ports: dict[str, int], options: list[str]) -> list[str]:
    extra = dict(option.split("=", 1) for option in options)
    kafka_server.write_settings(folder, ports, extra)
    kafka_server.format_storage(jvm_arguments, folder)
    return kafka_server.command(jvm_arguments, folder)


SERVICES = {
    "kafka": Service(
        name="kafka",
        variable="PROCESSOR_KAFKA__BOOTSTRAP_SERVERS",
        other_port="controller",
        install=lambda cache: kafka_server.prepare(cache, say),
        begin=_begin_kafka,
        is_ready=kafka_server.is_ready,
        start_timeout_s=kafka_server.START_TIMEOUT_S,
    ),
    "etcd": Service(
        name="etcd",
        variable="PROCESSOR_ETCD__ENDPOINTS",
        other_port="peer",
        install=lambda cache: installation.etcd_program(cache, say),
        begin=etcd_server.command,
        is_ready=etcd_server.is_ready,
        start_timeout_s=ETCD_START_TIMEOUT_S,
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit status: 0 done, 1 not up or failed (the reason is on stderr)."""
    options = _parser().parse_intermixed_args(arguments)
    chosen = options.services or list(SERVICES.values())
    directory = Path(options.dir).resolve()
    try:
        match options.command:
            case "up":
                return up(chosen, directory, options)
            case "down":
                return down(chosen, directory, kill=options.kill)
            case "install":
                for service in chosen:
                    install(service)
                return 0
            case "status":
                return status(chosen, directory)
            case _:
                return show_environment(chosen, directory)
    except ServiceError as error:
        say(f"services: {error}")
        return 1


def up(chosen: Sequence[Service], directory: Path, options: argparse.Namespace) -> int:
    """Install what is missing, start what does not run yet, then wait for each."""
    processes = [(service, _process(service, directory)) for service in chosen]
    stopped = [(service, process, install(service)) for service, process in processes if process.pid() is None]
    for service, process, installed in stopped:
        port, extra = getattr(options, f"{service.name}_port"), getattr(options, f"{service.name}_option")
        _start(service, process, installed, port, extra)
    for service, process in processes:
        port = process.ports()["client"]
        process.wait_until(partial(service.is_ready, port), timeout_s=service.start_timeout_s, say=say)
        say(f"{service.name}: answers on 127.0.0.1:{port} (pid {process.pid()})")
    return 0


def install(service: Service) -> Path:
    """Put the service into the cache, unless it is there; return what its `begin` wants to know of it."""
    return service.install(installation.cache_folder(os.environ))


def down(chosen: Sequence[Service], directory: Path, *, kill: bool) -> int:
    """Stop what runs."""
    for service in chosen:
        stopped = _process(service, directory).stop(kill=kill, timeout_s=STOP_TIMEOUT_S)
        say(f"{service.name}: {'stopped' if stopped else 'was not running'}")
    return 0


def status(chosen: Sequence[Service], directory: Path) -> int:
    """Print a line a service: name, running or stopped, address, pid; 1 unless all run."""
    all_run = True
    for service in chosen:
        process = _process(service, directory)
        pid = process.pid()
        all_run = all_run and pid is not None
        print(service.name, f"running 127.0.0.1:{process.ports()['client']} pid {pid}" if pid else "stopped")
    return 0 if all_run else 1


def show_environment(chosen: Sequence[Service], directory: Path) -> int:
    """Print export lines for a shell's eval; 1 when one of the services does not run."""
    for service in chosen:
        process = _process(service, directory)
        if process.pid() is None:
            raise ServiceError(f"{service.name} does not run in {directory}; start it with 'up'")
        print(f"export {service.variable}=127.0.0.1:{process.ports()['client']}")
    return 0


def _process(service: Service, directory: Path) -> ServerProcess:
    return ServerProcess(service.name, directory / service.name)


def _start(service: Service, process: ServerProcess, installed: Path, port: int, options: list[str]) -> None:
    process.folder.mkdir(parents=True, exist_ok=True)
    known = process.ports()
    client = port or known.get("client") or free_port()
    ports = {"client": client, service.other_port: known.get(service.other_port) or free_port()}
    for wanted in ports.values():
        if not is_port_free(wanted):
            raise ServiceError(f"port {wanted} is taken by somebody else; {service.name} needs it (0 takes a free one)")
    process.keep_ports(ports)
    process.start(service.begin(installed, process.folder, ports, options))


def _service(name: str) -> Service:
    if name not in SERVICES:
        raise argparse.ArgumentTypeError(f"there is no service {name!r}, only {' and '.join(SERVICES)}")
    return SERVICES[name]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="services.py", description="Real Kafka and etcd without Docker.")
    parser.add_argument("command", choices=["up", "down", "status", "env", "install"])
    parser.add_argument("services", nargs="*", type=_service, metavar="kafka|etcd", help="both when none is named")
    parser.add_argument("--dir", default=PROJECT / ".cache" / "services", help="pid files, logs and data (%(default)s)")
    parser.add_argument("--kafka-port", type=int, default=9092, help="0: free (%(default)s)")
    parser.add_argument("--etcd-port", type=int, default=2379, help="0: free (%(default)s)")
    parser.add_argument("--kafka-option", action="append", default=[], metavar="NAME=VALUE", help="a broker setting")
    parser.add_argument("--etcd-option", action="append", default=[], metavar="--FLAG=VALUE", help="an etcd flag")
    parser.add_argument("--kill", action="store_true", help="down: SIGKILL instead of SIGTERM")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

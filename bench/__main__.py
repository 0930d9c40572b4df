"""Measure: `python -m bench [row ...] [--quick]`; every row without a name.

Starts a Kafka and an etcd of its own, checks what came out, prints a table and writes it with all figures to
`bench/results/`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import environment, results
from bench.cluster import cluster_job
from bench.generator import generator
from bench.latency import backlog, latency
from bench.peer import peer_job
from bench.place import Servers, own_servers
from bench.replay import replay
from bench.restart import restart
from bench.results import Report, Row
from bench.throughput import throughput

RESULTS = Path(__file__).parent / "results"

Measure = Callable[[Servers, "Size"], Iterator[Row]]


class Size(msgspec.Struct, frozen=True):
    """How much is measured."""

    runs: int = 3
    peer_events: int = 300_000
    cluster_models: int = 10_000
    latency_s: int = 20
    backlog_events: int = 200_000
    state_models: tuple[int, ...] = (1_000, 10_000, 100_000)


FULL = Size()
QUICK = Size(
    runs=1, peer_events=60_000, cluster_models=1_000, latency_s=5, backlog_events=40_000, state_models=(1_000,)
)

BENCHMARKS: dict[str, Measure] = {
    "peer": lambda servers, size: throughput(servers, peer_job(size.peer_events), runs=size.runs),
    "cluster": lambda servers, size: throughput(servers, cluster_job(size.cluster_models), runs=size.runs),
    "latency": lambda servers, size: latency(servers, seconds=size.latency_s, runs=size.runs),
    "backlog": lambda servers, size: backlog(servers, events=size.backlog_events, runs=size.runs),
    "restart": lambda servers, size: restart(servers, size.state_models, runs=size.runs),
    "replay": lambda servers, size: replay(servers, peer_job(size.peer_events), runs=size.runs),
    "generator": lambda _, size: generator(size.state_models, runs=size.runs),
}


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for."""
    options = _parser().parse_args(arguments)
    chosen = options.rows or list(BENCHMARKS)
    size = QUICK if options.quick else FULL
    began, machine = datetime.now(UTC), environment.machine()
    rows: list[Row] = []
    with own_servers() as servers:
        for name in chosen:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += BENCHMARKS[name](servers, size)
    report = Report(began, machine, rows)
    page = results.write(report, RESULTS, f"{began:%Y%m%d-%H%M%S}-{'-'.join(options.rows) or 'all'}")
    print(results.markdown(report))
    print(f"written to {page} and .json", file=sys.stderr)
    return 0


def _row(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"there is no {name!r}, only {', '.join(BENCHMARKS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the processor.")
    parser.add_argument("rows", nargs="*", type=_row, metavar="|".join(BENCHMARKS), help="all if none")
    parser.add_argument("--quick", action="store_true", help="one run, smaller sizes")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measure the state generator alone, event by event: `python -m bench.costs [--quick]`.

Processor time, not elapsed: other programs on the machine disturb it less. Results go to `bench/results/`.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from bench.cluster import catalogue, domain
from bench.costs.page import Column, written
from bench.costs.shapes import Shape, populated
from bench.costs.steps import (
    clock,
    crowd_of_loads,
    crowded_server,
    explanations,
    flows,
    life_of_models,
    unloaded_while_others_wait,
)
from bench.costs.walk import Cost, Walk
from bench.environment import machine
from processor.assembly.engine import Domain
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.runtime.garbage import freeze_heap

RESULTS = Path(__file__).parents[1] / "results"
SMALL = Shape(10_000, servers=50, replicas_a_server=8, replicas_a_model=2)
SIZES = (1_000, 10_000, 100_000)
NEW_MODELS = 500
WAITING = 100


def main() -> int:
    """Measure each shape, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description="Measure the state generator alone.")
    parser.add_argument("--quick", action="store_true", help="only the two smaller clusters")
    parser.add_argument("--runs", type=int, default=5, help="how often each step is measured")
    options = parser.parse_args()
    shapes = [SMALL, *[Shape(models) for models in (SIZES[:1] if options.quick else SIZES)]]
    began, host = datetime.now(UTC), machine()
    cluster = domain(catalogue(Settings()))
    columns = [Column(shape, _measured(cluster, shape, runs=options.runs)) for shape in shapes]
    print(written(columns, host, began, RESULTS))
    return 0


def _measured(cluster: Domain, shape: Shape, *, runs: int) -> list[Cost]:
    print(f"{shape.models:,} models …", file=sys.stderr, flush=True)
    walk = _walk(cluster, shape, runs=runs)
    life_of_models(walk, shape, models=NEW_MODELS)
    flows(walk, count=NEW_MODELS // 2)
    crowded_server(walk)
    clock(walk, waiting=WAITING)
    explanations(walk, waiting=WAITING)
    unloaded_while_others_wait(walk, waiting=WAITING)
    return [*walk.costs, *_measured_when_full(cluster, shape, runs=runs)]


def _measured_when_full(cluster: Domain, shape: Shape, *, runs: int) -> list[Cost]:
    full = replace(shape, full_servers=shape.servers * 3 // 4)
    walk = _walk(cluster, full, runs=runs)
    crowd_of_loads(walk, full, models=NEW_MODELS)
    return walk.costs


def _walk(cluster: Domain, shape: Shape, *, runs: int) -> Walk:
    state = populated(ClusterMachine(), shape)
    freeze_heap()
    return Walk(cluster, state, runs=runs)


sys.exit(main())

"""`version`: the versions of all that decides how this program behaves."""

import platform
from importlib.metadata import version as version_of
from typing import Any

from processor.cli.options import Output
from processor.cli.output import emit_document, emit_rows
from processor.cluster.machine import ClusterMachine
from processor.engine.values import LAYOUT


def version(*, output: Output = "table") -> None:
    """Print versions: the program's, the state machine's (reducer_version) and those of the libraries that matter."""
    facts = versions()
    if output in {"table", "name"}:
        rows = [{"name": name, "version": value} for name, value in facts.items()]
        emit_rows(rows, output, columns=("name", "version"), name="name")
    else:
        emit_document(facts, output, name="version")


def versions() -> dict[str, Any]:
    """Return name → version of what decides how this program behaves."""
    libraries = ("confluent-kafka", "fastavro", "grpcio", "python3-etcd3")
    return {
        "processor": version_of("processor"),
        "python": platform.python_version(),
        "reducer_version": ClusterMachine.version,
        "layout": LAYOUT,
        **{name: version_of(name) for name in libraries},
    }

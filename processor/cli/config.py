"""`config show` and `version`."""

from typing import Any

from cyclopts import App

from processor.cli.options import ConfigFile, Output, settings_of
from processor.cli.output import emit_document, emit_rows


def register(app: App) -> None:
    """Add this group's commands."""
    group = App(name="config", help="Settings.", result_action="return_value")
    group.command(show)
    group.command(schema)
    group.command(reference)
    app.command(group)
    app.command(version)


def show(*, config: ConfigFile = None, output: Output = "table") -> None:
    """Print every setting with its effective value and where that came from; secrets are masked."""
    import msgspec

    from processor.configuration.loading import show as shown

    rows = [msgspec.to_builtins(row) for row in shown(settings_of(config))]
    emit_rows(rows, output, columns=("variable", "value", "origin"), name="variable")


def schema() -> None:
    """Print the JSON schema of the configuration file."""
    from processor.configuration.settings import Settings

    emit_document(Settings.model_json_schema(), "json", name="schema")


def reference() -> None:
    """Print every setting with variable, default and help as Markdown; docs/configuration.md is this."""
    import sys

    from processor.reference.configuration import configuration_markdown

    sys.stdout.write(configuration_markdown())


def version(*, output: Output = "table") -> None:
    """Print versions: the program's, the state machine's (reducer_version) and those of the libraries that matter."""
    facts = versions()
    if output in {"table", "name"}:
        rows = [{"name": name, "version": value} for name, value in facts.items()]
        emit_rows(rows, output, columns=("name", "version"), name="name")
    else:
        emit_document(facts, output, name="version")


def version_line() -> str:
    """Return what `processor --version` prints."""
    from importlib.metadata import version as version_of

    return version_of("processor")


def versions() -> dict[str, Any]:
    """Return name → version of what decides how this program behaves."""
    import platform
    from importlib.metadata import version as version_of

    from processor.cluster.machine import ClusterMachine
    from processor.engine.values import LAYOUT

    libraries = ("confluent-kafka", "fastavro", "grpcio", "python3-etcd3")
    return {
        "processor": version_line(),
        "python": platform.python_version(),
        "reducer_version": ClusterMachine.version,
        "layout": LAYOUT,
        **{name: version_of(name) for name in libraries},
    }

"""`config show|schema|reference`: the settings, and what is known about each."""

import sys

import msgspec
from cyclopts import App

from processor.cli.options import ConfigFile, Output, settings_of
from processor.cli.output import emit_document, emit_rows
from processor.configuration.loading import show as shown
from processor.configuration.settings import Settings
from processor.reference.configuration import configuration_markdown

app = App(name="config")


@app.command
def show(*, config: ConfigFile = None, output: Output = "table") -> None:
    """Print every setting with its effective value and where that came from; secrets are masked."""
    rows = [msgspec.to_builtins(row) for row in shown(settings_of(config))]
    emit_rows(rows, output, columns=("variable", "value", "origin"), name="variable")


@app.command
def schema() -> None:
    """Print the JSON schema of the configuration file."""
    emit_document(Settings.model_json_schema(), "json", name="schema")


@app.command
def reference() -> None:
    """Print every setting with variable, default and help as Markdown; docs/configuration.md is this."""
    sys.stdout.write(configuration_markdown())

"""`topics plan|apply|check`: compares topics.yaml with the brokers, and applies it."""

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.admin.topics import topic_specs, topics_admin
from processor.cli.exits import Exit
from processor.cli.options import ConfigFile, Output, settings_of
from processor.cli.output import emit_rows, note
from processor.kafka.admin import Action, TopicsAdmin, TopicSpec

Patch = Annotated[
    Path | None,
    Parameter(
        name="--patch",
        help="File that changes the `spec` of topics by name; topics.production.yaml ships with the program.",
    ),
]

VISIBLE_TIMEOUT_S = 10.0
VISIBLE_INTERVAL_S = 0.1
UP_TO_DATE = "all topics are up to date"


app = App(name="topics")


@app.command
def plan(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> None:
    """Print what `topics apply` would do."""
    admin, specs = _admin_and_specs(config, patch)
    _print(admin.plan(specs), output)


@app.command
def apply(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> int:
    """Create topics, add partitions and change settings that differ; a second run has nothing to do."""
    admin, specs = _admin_and_specs(config, patch)
    results = admin.apply(admin.plan(specs))
    if results and not any(result.failure for result in results):
        _await_visible(admin, specs)
    rows = [{**_row(result.action), "failure": result.failure} for result in results]
    if rows or output != "table":
        emit_rows(rows, output, columns=("topic", "action", "failure"), name="topic")
    failed = sum(1 for result in results if result.failure)
    note(f"{len(results) - failed} done, {failed} failed" if results else UP_TO_DATE)
    return Exit.DIFFERS if failed else Exit.OK


@app.command
def check(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> int:
    """Print how the brokers differ from the file; exit 1 if they do."""
    admin, specs = _admin_and_specs(config, patch)
    actions = admin.plan(specs)
    _print(actions, output)
    return Exit.DIFFERS if actions else Exit.OK


def _admin_and_specs(config: Path | None, patch: Path | None) -> tuple[TopicsAdmin, list[TopicSpec]]:
    """Return the brokers and the wanted topics; the files are read first, which needs no broker."""
    settings = settings_of(config).settings
    specs = topic_specs(settings, patch)
    return topics_admin(settings), specs


def _await_visible(admin: TopicsAdmin, specs: list[TopicSpec]) -> None:
    """Wait until the brokers report the changes: they acknowledge them before all of them know."""
    deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
    while admin.plan(specs) and time.monotonic() < deadline_s:
        time.sleep(VISIBLE_INTERVAL_S)


def _print(actions: list[Action], output: Output) -> None:
    if actions or output != "table":
        emit_rows([_row(action) for action in actions], output, columns=("topic", "action"), name="topic")
    else:
        note(UP_TO_DATE)


def _row(action: Action) -> dict[str, Any]:
    name, _, text = str(action).partition(": ")
    return {"topic": name, "action": text}

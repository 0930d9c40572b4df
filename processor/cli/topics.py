"""`topics plan|apply|check`: topics.yaml against the brokers."""

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.assembly.connections import kafka_connection
from processor.cli.exits import Exit, usage
from processor.cli.options import ConfigFile, Output, settings_of
from processor.cli.output import emit_rows, note
from processor.configuration.settings import Settings
from processor.configuration.shipped import resolve
from processor.configuration.topics import load_topics
from processor.kafka.admin import Action, TopicsAdmin, TopicSpec
from processor.kafka.recognition import recognised

Patch = Annotated[
    Path | None,
    Parameter(
        name="--patch",
        help="File that changes the `spec` of topics by name; topics.production.yaml comes with the program.",
    ),
]

SHOWN_TIMEOUT_S = 10.0
SHOWN_INTERVAL_S = 0.1
AS_THEY_SHALL_BE = "all topics are as they shall be"


app = App(name="topics")


@app.command
def plan(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> None:
    """Print what `topics apply` would do."""
    admin, specs = _sides(config, patch)
    _print(admin.plan(specs), output)


@app.command
def apply(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> int:
    """Create topics, add partitions and set what differs; run again, it finds nothing to do."""
    admin, specs = _sides(config, patch)
    results = admin.apply(admin.plan(specs))
    if results and not any(result.failure for result in results):
        _await_all(admin, specs)
    rows = [{**_row(result.action), "failure": result.failure} for result in results]
    if rows or output != "table":
        emit_rows(rows, output, columns=("topic", "action", "failure"), name="topic")
    failed = sum(1 for result in results if result.failure)
    note(f"{len(results) - failed} done, {failed} failed" if results else AS_THEY_SHALL_BE)
    return Exit.DIFFERS if failed else Exit.OK


@app.command
def check(*, patch: Patch = None, config: ConfigFile = None, output: Output = "table") -> int:
    """Print how the brokers differ from the file; exit 1 when they do."""
    admin, specs = _sides(config, patch)
    actions = admin.plan(specs)
    _print(actions, output)
    return Exit.DIFFERS if actions else Exit.OK


def specs_of(settings: Settings, patch: Path | None = None) -> list[TopicSpec]:
    """Return the topics as they shall be. Raises InvalidRequest."""
    topics = load_topics(settings.topics_file, *([resolve(patch)] if patch else []))
    if topics.partitions < len(settings.clusters):
        names = ", ".join(settings.clusters)
        raise usage(f"{settings.topics_file} has {topics.partitions} partitions a topic, too few for {names}")
    return [TopicSpec(topic.name, topic.partitions, topic.replicas, topic.config) for topic in topics.by_role.values()]


def _sides(config: Path | None, patch: Path | None) -> tuple[TopicsAdmin, list[TopicSpec]]:
    """Return the brokers' side and the files': the files first, which need no broker."""
    settings = settings_of(config).settings
    specs = specs_of(settings, patch)
    return _admin(settings), specs


def _admin(settings: Settings) -> TopicsAdmin:
    return TopicsAdmin(recognised(kafka_connection(settings)))


def _await_all(admin: TopicsAdmin, specs: list[TopicSpec]) -> None:
    """Wait until the brokers show what they were told: they answer before every one of them has heard."""
    deadline_s = time.monotonic() + SHOWN_TIMEOUT_S
    while admin.plan(specs) and time.monotonic() < deadline_s:
        time.sleep(SHOWN_INTERVAL_S)


def _print(actions: list[Action], output: Output) -> None:
    if actions or output != "table":
        emit_rows([_row(action) for action in actions], output, columns=("topic", "action"), name="topic")
    else:
        note(AS_THEY_SHALL_BE)


def _row(action: Action) -> dict[str, Any]:
    name, _, text = str(action).partition(": ")
    return {"topic": name, "action": text}

"""The program's entry: the table of all commands, and one command line run to its exit code.

Only the table is read for `processor --help`. cyclopts imports a command's module when the command line names it, so
command modules import what they need at their top, and help, completion and usage errors of the program itself stay
fast. What must be eager is what the list of commands shows: the names, and a line of help each. For a single command
that line repeats the first line of its docstring (a test compares the two); a group has its line here alone.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from cyclopts import App, CycloptsError, UnusedCliTokensError

from processor.cli.exits import Exit, guarded, report
from processor.cli.streams import OutputLost, give_up, take_streams, texts_of
from processor.runtime.signals import interruptible, is_service

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run:run", "Own shards, process events and announce the changes until asked to stop."),
    "dev": ("dev:dev", "Try the processor without any server; with --demo a simulated cluster uses it."),
    "submit": (
        "submit:submit",
        "Check events, produce them, and print where they went; with --wait the outcome of each.",
    ),
    "simulate": (
        "simulate:simulate",
        "Reduce a file of events and print the state, the changes and the rejections as one JSON document.",
    ),
    "state": ("state:app", "The cluster's state."),
    "events": ("events:app", "Records of the topics, decoded."),
    "commits": ("commits:app", "The commit log."),
    "dead-letters": ("dead_letters:app", "Records that could not be processed."),
    "offsets": ("offsets:app", "Positions of the shards in their inputs."),
    "replay": (
        "replay:replay",
        "Fold the recorded events again, in memory, in the order in which they were reduced.",
    ),
    "rebuild": (
        "rebuild:rebuild",
        "Fold all recorded events with this build, and compare with the live state.",
    ),
    "shards": ("shards:app", "Shards, their owners, and repairs of refused ones."),
    "status": (
        "status:status",
        "Print every shard with its owner, lag and outbox, from a processor's API or from the servers.",
    ),
    "doctor": (
        "doctor:doctor",
        (
            "Check schemas, brokers, topics, store, limits, space, clocks, "
            "and what a take-over of each shard would check."
        ),
    ),
    "topics": ("topics:app", "topics.yaml against the brokers."),
    "schemas": ("schemas:app", "The Avro schemas."),
    "acls": (
        "acls:acls",
        (
            "Print the least rights at Kafka and etcd as kafka-acls and etcdctl commands, "
            "as Strimzi's KafkaUser, or as JSON."
        ),
    ),
    "config": ("config:app", "Settings."),
    "version": (
        "version:version",
        "Print versions: the program's, the state machine's (reducer_version) and those of the libraries that matter.",
    ),
}
"""Name of a command or group of commands → module of this package and what to take from it, one line of help."""


def build() -> App:
    """Return the application with every command group."""
    app = App(
        name="processor",
        help="Control-plane state processor: events in, one guarded transaction a batch, differences out.",
        version=_version,
        help_format="plaintext",
    )
    for name, (target, help_) in COMMANDS.items():
        app.command(f"processor.cli.{target}", name=name, help=help_)
    return app


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    app = build()
    usage = partial(usage_lines, app, tokens)
    _show_docstring(app, tokens)
    try:
        command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return report(Exit.USAGE, sentence_of(error), usage)
    return guarded(lambda: command(*bound.args, **bound.kwargs), usage=usage)


def _show_docstring(app: App, tokens: Sequence[str]) -> None:
    """Let the page of a single command show its docstring: the line of help from the table is for the list only."""
    chain, (_, *commands), _ = app.parse_commands(list(tokens))
    if chain and chain[0] in COMMANDS and commands[0].default_command is not None:
        commands[0].help = None


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slower than all else that --help needs

    return version("processor")


def usage_lines(app: App, tokens: Sequence[str]) -> str:
    """Return usage and help of the command that the tokens name; for an unknown one, those of its parent."""
    from cyclopts.help import format_usage  # noqa: PLC0415 - slow, and a command that works does not need it

    chain, *_ = app.parse_commands(list(tokens))
    help_ = " ".join(("processor", *chain, "--help"))
    return f"usage: {format_usage(app, chain).plain.strip()}\nhelp: {help_}\n"


def sentence_of(error: CycloptsError) -> str:
    """Return the error of a command line as one line, naming the option or argument as the help does."""
    if isinstance(error, UnusedCliTokensError):
        return f"too many arguments: {' '.join(error.unused_tokens or ())}"
    sentence = " ".join(str(error).split())
    if error.argument is not None:
        label = error.argument.name
        name = label.lstrip("-").upper() if "POSITIONAL" in error.argument.field_info.kind.name else label
        sentence = sentence.replace(label, name)
        if not any(known in sentence for known in (name, *error.argument.names)):
            return f"{name}: {sentence}"
    return sentence


def main() -> None:
    """Run the command line of this process."""
    take_streams()
    code = int(Exit.OK)
    try:
        with interruptible():
            code = guarded(lambda: run(texts_of(sys.argv[1:])))
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED  # before or after the command itself
    except OutputLost as lost:
        code = code or give_up(lost)
    if is_service():
        # all shards are handed over; the cleanup of the interpreter could wait for an unavailable server
        sys.stderr.flush()
        os._exit(int(code))
    sys.exit(int(code))

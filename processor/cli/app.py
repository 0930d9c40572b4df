"""All commands, put together, and the program's entry."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from cyclopts import App, CycloptsError, UnusedCliTokensError

from processor.cli import (
    acls,
    commits,
    config,
    dead_letters,
    dev,
    doctor,
    events,
    offsets,
    rebuild,
    replay,
    schemas,
    service,
    shards,
    simulate,
    state,
    status,
    submit,
    topics,
)
from processor.cli.exits import Exit, guarded, told
from processor.cli.streams import OutputLost, give_up, take_streams, texts_of
from processor.runtime.signals import interruptible, is_service

MODULES: tuple[Any, ...] = (
    service,
    dev,
    submit,
    simulate,
    state,
    events,
    commits,
    dead_letters,
    offsets,
    replay,
    rebuild,
    shards,
    status,
    doctor,
    topics,
    schemas,
    acls,
    config,
)


def build() -> App:
    """Return the application with every command group."""
    app = App(
        name="processor",
        help="Control-plane state processor: events in, one guarded transaction a batch, differences out.",
        version=config.version_line,
        help_format="plaintext",
        result_action="return_value",
    )
    for module in MODULES:
        module.register(app)
    return app


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    app = build()
    usage = partial(usage_lines, app, tokens)
    try:
        command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return told(Exit.USAGE, sentence_of(error), usage)
    return guarded(lambda: command(*bound.args, **bound.kwargs), usage=usage)


def usage_lines(app: App, tokens: Sequence[str]) -> str:
    """Return how the command that was meant is used, and how to learn more; of an unknown one, what is above it."""
    from cyclopts.help import format_usage

    chain, *_ = app.parse_commands(list(tokens))
    help_ = " ".join(("processor", *chain, "--help"))
    return f"usage: {format_usage(app, chain).plain.strip()}\nhelp: {help_}\n"


def sentence_of(error: CycloptsError) -> str:
    """Return what is wrong with a command line on one line, naming the option or argument as the help does."""
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
        code = Exit.INTERRUPTED  # it came before or behind the command itself
    except OutputLost as lost:
        code = code or give_up(lost)
    if is_service():
        # everything is handed over; what the interpreter still tidies up may wait for a server that is away
        sys.stderr.flush()
        os._exit(int(code))
    sys.exit(int(code))

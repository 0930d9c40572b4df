"""Exit codes, and from an operating error to its code and sentence. A bug keeps its traceback.

A sentence ends with the same code whichever command says it: it is the error's class that has the code (`BY_ERROR`), or
the status of a processor's answer (`BY_STATUS`).
"""

import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from http import HTTPStatus

from processor.engine.errors import InvalidRequest, OwnershipLost, ProcessorError, ShardRefused
from processor.replay.errors import Unreplayable

SENTENCE_MAX = 1500


class Exit(IntEnum):
    """What the exit code of a command means."""

    OK = 0
    DIFFERS = 1  # differs, or unhealthy
    USAGE = 2
    UNREACHABLE = 3
    CONFLICT = 4
    INVALID_DATA = 5
    INTERRUPTED = 130


BY_ERROR: tuple[tuple[type[ProcessorError], Exit], ...] = (
    (Unreplayable, Exit.INVALID_DATA),
    (InvalidRequest, Exit.USAGE),
    (OwnershipLost, Exit.CONFLICT),
    (ShardRefused, Exit.CONFLICT),
    (ProcessorError, Exit.UNREACHABLE),
)
"""The first class that an error belongs to decides: what is left is a service that is away, or gave no clear answer."""

BY_STATUS: Mapping[int, Exit] = {
    HTTPStatus.BAD_REQUEST: Exit.USAGE,
    HTTPStatus.CONFLICT: Exit.CONFLICT,
    HTTPStatus.SERVICE_UNAVAILABLE: Exit.UNREACHABLE,
}
"""What a processor's API refuses; everything else that it does not have is DIFFERS."""


class CommandError(Exception):
    """A command cannot do what it was asked; the message is one sentence, `code` the exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def usage(message: str) -> CommandError:
    """Return the error of a command that was asked for something which makes no sense."""
    return CommandError(message, Exit.USAGE)


def unreachable(message: str) -> CommandError:
    """Return the error of a service that does not answer."""
    return CommandError(message, Exit.UNREACHABLE)


def invalid(message: str) -> CommandError:
    """Return the error of data that is not what it should be."""
    return CommandError(message, Exit.INVALID_DATA)


def guarded(command: Callable[[], int | None], *, usage: Callable[[], str] = str) -> int:
    """Run a command and return its exit code; operating errors become one sentence on stderr.

    Behind what the command line asks for and makes no sense stands the usage line of the command.
    """
    try:
        return int(command() or Exit.OK)
    except CommandError as error:
        return report(error.code, str(error), usage)
    except ProcessorError as error:
        return report(code_of(error), str(error) or type(error).__name__)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def report(code: Exit, sentences: str, usage: Callable[[], str] = str) -> Exit:
    """Print an error, a sentence a line, and return its exit code."""
    sys.stderr.writelines(f"error: {_readable(sentence)}\n" for sentence in sentences.splitlines())
    if code is Exit.USAGE:
        sys.stderr.write(usage())
    return code


def _readable(sentence: str) -> str:
    """Return a sentence without the middle of what is too long to be read: somebody's digits, or a file's line."""
    half = SENTENCE_MAX // 2
    return sentence if len(sentence) <= SENTENCE_MAX else f"{sentence[:half]} … {sentence[-half:]}"


def code_of(error: ProcessorError) -> Exit:
    """Return the exit code that an error of the engine ends a command with."""
    return next(code for kind, code in BY_ERROR if isinstance(error, kind))

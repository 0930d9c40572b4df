"""Exit codes, and the mapping of operating errors to code and message. A bug keeps its traceback.

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
    """The exit codes of commands."""

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
"""The first matching class decides; the last entry is an unavailable service, or an unclear answer of one."""

BY_STATUS: Mapping[int, Exit] = {
    HTTPStatus.BAD_REQUEST: Exit.USAGE,
    HTTPStatus.CONFLICT: Exit.CONFLICT,
    HTTPStatus.SERVICE_UNAVAILABLE: Exit.UNREACHABLE,
}
"""Status of a processor's API → exit code; DIFFERS for all others."""


class CommandError(Exception):
    """A command failed; the message is one sentence, `code` the exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def usage(message: str) -> CommandError:
    """Return the error of an invalid command line."""
    return CommandError(message, Exit.USAGE)


def unreachable(message: str) -> CommandError:
    """Return the error of an unavailable service."""
    return CommandError(message, Exit.UNREACHABLE)


def invalid(message: str) -> CommandError:
    """Return the error of invalid data."""
    return CommandError(message, Exit.INVALID_DATA)


def guarded(command: Callable[[], int | None], *, usage: Callable[[], str] = str) -> int:
    """Run a command and return its exit code; operating errors become one sentence on stderr.

    An invalid command line is followed by the usage line of the command.
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
    """Print an error, one sentence per line, and return its exit code."""
    sys.stderr.writelines(f"error: {_readable(sentence)}\n" for sentence in sentences.splitlines())
    if code is Exit.USAGE:
        sys.stderr.write(usage())
    return code


def _readable(sentence: str) -> str:
    """Return a sentence, with the middle cut out if it is too long (digits, or a line of a file)."""
    half = SENTENCE_MAX // 2
    return sentence if len(sentence) <= SENTENCE_MAX else f"{sentence[:half]} … {sentence[-half:]}"


def code_of(error: ProcessorError) -> Exit:
    """Return the exit code of an error of the engine."""
    return next(code for kind, code in BY_ERROR if isinstance(error, kind))

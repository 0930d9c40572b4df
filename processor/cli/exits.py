"""Exit codes, and from an operating error to its code and sentence. A bug keeps its traceback."""

import sys
from collections.abc import Callable
from enum import IntEnum

from processor.engine.errors import InvalidRequest, OwnershipLost, ProcessorError, Retry, ShardRefused


class Exit(IntEnum):
    """What the exit code of a command means."""

    OK = 0
    DIFFERS = 1  # differs, or unhealthy
    USAGE = 2
    UNREACHABLE = 3
    CONFLICT = 4
    INVALID_DATA = 5
    INTERRUPTED = 130


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


def guarded(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit code; operating errors become one sentence on stderr."""
    try:
        return int(command() or Exit.OK)
    except CommandError as error:
        _say(str(error))
        return error.code
    except ProcessorError as error:
        _say(*(str(error) or type(error).__name__).splitlines())
        return code_of(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def code_of(error: ProcessorError) -> Exit:
    """Return the exit code that an error of the engine ends a command with."""
    match error:
        case Retry():
            return Exit.UNREACHABLE
        case OwnershipLost() | ShardRefused():
            return Exit.CONFLICT
        case InvalidRequest():
            return Exit.USAGE
        case _:
            return Exit.UNREACHABLE


def _say(*sentences: str) -> None:
    for sentence in sentences:
        sys.stderr.write(f"error: {sentence}\n")

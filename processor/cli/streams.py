"""The standard streams of the program, independent of how it was started.

stdout: a write that fails ends the command (`OutputLost`). stderr: a line that cannot be written is dropped, so that a
full disk or a closed pipe behind the log does not end a service. Both: a character that the encoding does not have is
written in ASCII instead of ending the program. `processor.runtime.descriptors` reserves the numbers of closed ones.
"""

import codecs
import io
import os
import sys
from collections.abc import Sequence
from errno import EBADF
from typing import Final, TextIO

from processor.cli.exits import Exit, usage

ERRORS: Final = "processor.ascii"
SIGNS: Final = {
    "→": "->",
    "…": "...",
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "·": ".",
    "∅": "(none)",
    "▲": "^",
    "★": "*",
    "✓": "+",
    "✗": "x",
}
"""ASCII replacements of the signs in tables and feeds; all others become JSON escapes."""


class OutputLost(Exception):
    """stdout cannot be written; the message is the system's reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__("it is closed" if error.errno == EBADF else error.strerror)
        self.reader_gone = isinstance(error, BrokenPipeError)


class Output(io.TextIOWrapper):
    """stdout: a failed write raises OutputLost, which is no OSError, so that no other handler catches it."""

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError as error:
            raise OutputLost(error) from error

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            super().flush()
        except OSError as error:
            raise OutputLost(error) from error


class Notes(io.TextIOWrapper):
    """stderr: a failed write is dropped, because there is nowhere to report it."""

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            super().flush()
        except OSError:
            return


def take_streams() -> None:
    """Replace stdout and stderr of this process."""
    sys.stdout = _wrapped(Output, sys.stdout, 1)
    sys.stderr = _wrapped(Notes, sys.stderr, 2)


def give_up(lost: OutputLost) -> Exit:
    """Report that stdout is lost, redirect the interpreter's last flush to nowhere, and return the exit code.

    A reader that has closed the pipe (`| head`) is no failure.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if lost.reader_gone:
        return Exit.OK
    sys.stderr.write(f"error: cannot write to stdout: {lost}\n")
    return Exit.DIFFERS


def texts_of(arguments: Sequence[str]) -> list[str]:
    """Decode the arguments of this process as UTF-8, in any locale. Raises CommandError."""
    texts = []
    for number, argument in enumerate(arguments, start=1):
        content = os.fsencode(argument)
        try:
            texts.append(content.decode())
        except UnicodeDecodeError as error:
            byte = content[error.start]
            raise usage(f"argument {number} is not UTF-8: byte 0x{byte:02X} at offset {error.start}") from error
    return texts


def writes_unicode(stream: TextIO) -> bool:
    """Return whether the encoding of a stream has all characters."""
    return stream.encoding is None or codecs.lookup(stream.encoding).name.startswith("utf")


def _wrapped(kind: type[io.TextIOWrapper], stream: TextIO | None, number: int) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        raw = open(number, "wb", closefd=False)  # noqa: SIM115 - open as long as the process runs
        return kind(raw, encoding="utf-8", errors=ERRORS, line_buffering=number != 1)
    encoding, by_line, at_once = stream.encoding, stream.line_buffering, stream.write_through
    return kind(stream.detach(), encoding=encoding, errors=ERRORS, line_buffering=by_line, write_through=at_once)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return replacements for characters that an encoding lacks: signs or JSON escapes (surrogate pairs as two)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SIGNS.get(character) or _escaped(character) for character in text), error.end


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[n : n + 2]):04x}" for n in range(0, len(units), 2))


codecs.register_error(ERRORS, _in_ascii)

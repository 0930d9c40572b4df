"""Files written by people: read as UTF-8, or rejected with the file, the fault and the byte.

A byte order mark of UTF-8 is dropped, as editors write it unasked.
"""

import codecs
import sys
from pathlib import Path
from typing import Final

from processor.engine.errors import InvalidRequest

STDIN: Final = Path("-")
OTHER_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class Unreadable(InvalidRequest):
    """A file cannot be read: the message names it and the system's reason."""


class NotText(Unreadable):
    """A file is not UTF-8 text: the message names the file, the byte and its position."""


def bytes_of(path: Path) -> bytes:
    """Return the bytes of a file; `-` has no special meaning. Raises Unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name, or a character that this system's names cannot have
        raise Unreadable(f"cannot read {str(path)!r}: {error}") from error


def check_readable(path: Path) -> None:
    """Raise Unreadable for a file that cannot be read, before anything is done for the sake of what it holds."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise Unreadable(f"cannot read {str(path)!r}: {error}") from error


def text_of(path: Path) -> str:
    """Return the text of a file; `-` has no special meaning. Raises Unreadable, NotText."""
    return decoded(bytes_of(path), str(path))


def input_of(path: Path) -> bytes:
    """Return the contents of a file, or of stdin for `-`. Raises Unreadable."""
    if path != STDIN:
        return bytes_of(path)
    if sys.stdin is None:
        raise Unreadable("cannot read stdin: it is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise Unreadable(f"cannot read stdin: {error.strerror}") from error


def decoded(content: bytes, name: str) -> str:
    """Return the content as text. Raises NotText."""
    unmarked(content, name)
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        hint = "is it Latin-1? Save it as UTF-8"
        raise NotText(f"{name}: no UTF-8 text: {_where(content, error.start)}; {hint}") from error
    if "\0" in text:
        raise NotText(
            f"{name}: no text: {_where(content, content.index(0))}; is it UTF-16, or binary? Save it as UTF-8"
        )
    return text


def unmarked(content: bytes, name: str) -> bytes:
    """Return the content without a mark of UTF-8 at its beginning. Raises NotText when the mark is another's."""
    for mark, encoding in OTHER_MARKS.items():
        if content.startswith(mark):
            raise NotText(f"{name}: it is {encoding}, it begins with {mark.hex(' ').upper()}; save it as UTF-8")
    return content.removeprefix(codecs.BOM_UTF8)


def _where(content: bytes, offset: int) -> str:
    """Return a byte and its position: line and byte of the line from 1, offset in the file from 0."""
    before = content[:offset]
    line, column = before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1
    return f"byte 0x{content[offset]:02X} at line {line}, byte {column} (offset {offset})"

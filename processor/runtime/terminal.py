"""Colours of terminals."""

import os
from typing import TextIO

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36", "grey": "90"}


def coloured(stream: TextIO) -> bool:
    """Return whether to use colours: the stream is a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, colour: str, *, wanted: bool) -> str:
    """Return the text in a colour if `wanted`, else unchanged."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if wanted else text

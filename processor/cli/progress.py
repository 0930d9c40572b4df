"""A line on stderr that shows the progress of long work; only on a terminal."""

import sys
import time
from typing import Self, TextIO

INTERVAL_S = 0.2
WIDTH_CELLS = 30


class Progress:
    """Shows how much of a total is done; silent where stderr is no terminal. A context, which ends the line."""

    def __init__(self, unit: str, stream: TextIO | None = None) -> None:
        stream = sys.stderr if stream is None else stream
        self._unit = unit
        self._stream = stream if stream.isatty() else None
        self._began_s = self._shown_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def show(self, done: int, total: int, counted: int) -> None:
        """Show `done` of `total`, and the rate of what was `counted`, at most every INTERVAL_S."""
        if self._stream is None:
            return
        now_s = time.monotonic()
        if now_s - self._shown_s >= INTERVAL_S:
            self._shown_s = now_s
            self._stream.write(f"\r{line(done, total, counted, now_s - self._began_s, self._unit)}\x1b[K")
            self._stream.flush()

    def show_commits(self, done: int, total: int, events: int) -> None:
        """Show how many of the commits are done; their rate, not that of their events."""
        del events
        self.show(done, total, done)


def line(done: int, total: int, counted: int, seconds: float, unit: str) -> str:
    """Return a bar, the share, the rate and the time that is left."""
    share = min(1.0, done / total) if total else 1.0
    bar = ("#" * int(share * WIDTH_CELLS)).ljust(WIDTH_CELLS, ".")
    left_s = seconds * (1 - share) / share if share else 0.0
    return f"[{bar}] {share:4.0%}  {counted / max(seconds, 0.001):,.0f} {unit}/s  {left_s:,.0f} s left"

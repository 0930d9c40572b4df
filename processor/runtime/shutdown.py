"""Ends a process in time once it is asked to stop, whatever its threads are waiting for.

Most threads end by themselves: a pause ends early, and calls to services get shorter timeouts the longer the end takes
(`SystemClock.left_s`). What remains are calls of C libraries that nothing wakes. When the time is almost over a thread
logs which those are, gives up what the process owns, so that others need not wait for its lease, and exits with 1. If
even that thread cannot run, because a library holds the interpreter's lock, the interpreter's own watchdog prints the
stack of each thread and ends the process a second later.
"""

import faulthandler
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PACKAGE = "processor"
RESERVE_SHARE = 0.2
"""Part of the time that is kept for giving up what is owned."""
RESERVE_MAX_S = 1.5
BACKSTOP_S = 1.0
STANDARD_ERROR = 2
BYSTANDERS = frozenset({"shutdown", "signals", "etcd-lease", "http", "topic-describer"})
"""Threads that run until the process ends: nobody waits for them."""

Leave = Callable[[int], object]


@contextmanager
def ended_in_time(
    stop: threading.Event,
    *,
    timeout_s: float,
    give_up: Callable[[], object],
    log: Callable[..., object],
    leave: Leave = os._exit,
) -> Iterator[None]:
    """End the process with 1 unless the body ends within `timeout_s` once `stop` is set.

    `give_up` lets go of what the process owns; it has a fifth of the time, or 1.5 s.
    """
    ended = threading.Event()
    reserve_s = min(RESERVE_MAX_S, RESERVE_SHARE * timeout_s)

    def watch() -> None:
        stop.wait()
        if ended.is_set():
            return
        faulthandler.dump_traceback_later(timeout_s + BACKSTOP_S, exit=True, file=STANDARD_ERROR)
        if ended.wait(timeout_s - reserve_s):
            return
        log("shutdown_timed_out", timeout_s=timeout_s, waiting_for=list(waits()))
        letting_go = threading.Thread(target=give_up, name="shutdown", daemon=True)
        letting_go.start()
        letting_go.join(reserve_s)
        leave(1)

    watching = threading.Thread(target=watch, name="shutdown", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        stop.set()
        watching.join()
        faulthandler.cancel_dump_traceback_later()


def waits() -> Iterator[str]:
    """Yield for each thread that the end waits for which call of ours it is in: thread, function, line."""
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to see what other threads do
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        ours = _innermost_of_ours(frame)
        if ours is not None and thread.name not in BYSTANDERS:
            code = ours.f_code
            line = linecache.getline(code.co_filename, ours.f_lineno).strip()
            yield f"{thread.name}: {ours.f_globals['__name__']}.{code.co_qualname}: {line}"


def _innermost_of_ours(frame: FrameType | None) -> FrameType | None:
    while frame is not None and not str(frame.f_globals.get("__name__", "")).startswith(f"{PACKAGE}."):
        frame = frame.f_back
    return frame

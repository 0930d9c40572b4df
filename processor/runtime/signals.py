"""Signals that stop the program: handled from its first line to its last, with no lock in any handler.

A handler written in Python runs in the main thread between two of its instructions, and so between two instructions of
a handler that is already running: what it does must not take a lock. `Event.set()` takes one, and a second signal some
microseconds behind the first would wait for it for ever. So the handlers here do nothing. The interpreter's handler in
C writes the signal's number into a pipe (`signal.set_wakeup_fd`), whichever thread the system gave the signal to, and
a thread that does nothing else reads the pipe and acts.

What it does depends on how far the program is:

phase                        | `run`, `dev`            | every other command
from the first line on       | the process ends with 0 | SIGINT ends the process with 130
`stopped_by_signals`         | the event is set        | -
`interruptible`              | -                       | SIGINT raises KeyboardInterrupt in the main thread; a command
                             |                         | that has not ended after `INTERRUPT_GRACE_S`, or at the next
                             |                         | SIGINT of an impatient person, is ended with 130
afterwards                   | nothing: it is ending   | nothing: it is ending

Only what comes while the interpreter itself starts is not covered: some 50 ms.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from processor.runtime.closing import Closing

STOPS = (signal.SIGTERM, signal.SIGINT)
SERVICES = frozenset({"run", "dev"})
"""Commands that run until they are asked to end, which is their success."""
INTERRUPTED = 130
INTERRUPT_GRACE_S = 5.0
"""How long an interrupted command may take: a call of a C library is not interrupted by Python."""
SAME_INTERRUPT_S = 0.5
"""A SIGINT so soon after another is the same one: a terminal and a program around us may both have passed it on."""
READ_BYTES = 64

Act = Callable[[], None]


class StopSignals(Closing):
    """Calls `act` in a thread of its own for each of these signals, until `close`. For the main thread.

    `act` may be replaced at any time: the one that stands there when a signal is read is called.
    """

    def __init__(self, act: Act, numbers: Sequence[signal.Signals] = STOPS) -> None:
        self.act = act
        self._numbers = frozenset(numbers)
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)  # a handler must not wait; a full pipe has said enough
        self._descriptor_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, _do_nothing) for number in numbers}
        self._thread = threading.Thread(target=self._read, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._descriptor_before)
        os.close(self._writing)  # what was written is read, then the thread ends
        self._thread.join()
        os.close(self._reading)

    def _read(self) -> None:
        while heard := os.read(self._reading, READ_BYTES):
            for number in heard:
                if number in self._numbers:  # the pipe tells of every signal that has a handler
                    self.act()


class _Program:
    """The signals of this program, once `listen` was called."""

    signals: StopSignals | None = None
    is_service = False


def listen(arguments: Sequence[str]) -> None:
    """Hear signals from now on; the program's very first call. `arguments` are the command line's."""
    _Program.is_service = bool(arguments) and arguments[0] in SERVICES
    if _Program.is_service:
        _Program.signals = StopSignals(lambda: os._exit(0))
    else:
        _Program.signals = StopSignals(lambda: os._exit(INTERRUPTED), (signal.SIGINT,))


def is_service() -> bool:
    """Return whether this program is a service, which runs until it is stopped."""
    return _Program.is_service


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and SIGINT while the body runs; a program that listens ignores them afterwards."""
    signals = _Program.signals
    if signals is None or not _Program.is_service:
        with StopSignals(stop.set):
            yield
        return
    signals.act = stop.set
    try:
        yield
    finally:
        signals.act = _ignore


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt while a command runs; without `listen` it does so anyway."""
    signals = _Program.signals
    if signals is None or _Program.is_service:
        yield
        return
    signals.act = _Interrupted().act
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _do_nothing)
        signals.act = _ignore


class _Interrupted:
    """Ends a command that does not stop by itself after an interrupt."""

    def __init__(self) -> None:
        self._first_s: float | None = None

    def act(self) -> None:
        """Give the command its time, or end it when somebody asks again."""
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
            ending = threading.Timer(INTERRUPT_GRACE_S, os._exit, (INTERRUPTED,))
            ending.daemon = True
            ending.start()
        elif now_s - self._first_s > SAME_INTERRUPT_S:
            os._exit(INTERRUPTED)


def _ignore() -> None:
    pass


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass

import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from processor.clock import join
from processor.running import stopped_by_signals
from tests.waiting import wait_until

PATIENCE_S = 20.0


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def main_thread_waits() -> bool:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return any(
        caller.f_code.co_filename == threading.__file__ and caller.f_code.co_name == "join" for caller in callers(frame)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_the_system_hands_to_another_thread_is_heeded(number: signal.Signals) -> None:
    stop, heeded = threading.Event(), []

    def work() -> None:
        wait_until(main_thread_waits, what="the main thread waits")
        signal.pthread_kill(threading.get_ident(), number)
        heeded.append(stop.wait(PATIENCE_S))

    with stopped_by_signals(stop):
        thread = threading.Thread(target=work)
        thread.start()
        join((thread,))
    assert heeded == [True]


def test_who_was_to_be_told_before_is_told_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals(threading.Event()):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before

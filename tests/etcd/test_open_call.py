from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

from processor.etcd.open_call import OpenCall


class Stream:
    """What the library makes of a stream: a thread of its own waits for the requests."""

    def __init__(self, requests: Iterator[Any]) -> None:
        self.ended = False
        self.left = Event()
        Thread(target=self._wait, args=(requests,), daemon=True).start()

    def done(self) -> bool:
        return self.ended

    def cancel(self) -> None:
        self.ended = True

    def _wait(self, requests: Iterator[Any]) -> None:
        for _ in requests:
            raise AssertionError("nothing is ever said")
        self.left.set()


class Opened:
    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def __call__(self, requests: Iterator[Any]) -> Stream:
        self.streams.append(Stream(requests))
        return self.streams[-1]


def test_a_stream_is_opened_once_and_again_only_after_it_broke() -> None:
    opened = Opened()
    call = OpenCall(opened)
    assert not opened.streams

    call.keep()
    call.keep()
    assert len(opened.streams) == 1

    opened.streams[0].ended = True
    call.keep()
    assert len(opened.streams) == 2
    assert opened.streams[0].left.wait(10)
    call.close()


def test_closing_ends_the_stream_and_the_thread_that_waits_for_its_requests() -> None:
    opened = Opened()
    call = OpenCall(opened)
    call.keep()

    call.close()
    call.close()

    assert opened.streams[0].ended
    assert opened.streams[0].left.wait(10)


def test_closing_what_was_never_opened_does_nothing() -> None:
    opened = Opened()
    OpenCall(opened).close()
    assert not opened.streams

"""One call that stays open, so that the library's thread for a channel stays, too.

The thread ends with the last open call of its channel, and the next call waits until a new one runs: between two
commits of a busy shard that is every time, and cost a sixth of the whole loop.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

OpenStream = Callable[[Iterator[Any]], Any]
"""Open a stream of requests in both directions; returns grpc's call."""


class OpenCall:
    """A stream on which nothing is ever said. `keep` opens it again where it broke, with its server for example."""

    def __init__(self, open_stream: OpenStream) -> None:
        self._open_stream = open_stream
        self._call: Any = None
        self._requests: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def keep(self) -> None:
        """Open the stream unless it is open, without waiting for anything. Safe from any thread."""
        with self._lock:
            if self._call is None or self._call.done():
                self._end()
                self._requests = queue.SimpleQueue()
                self._call = self._open_stream(iter(self._requests.get, None))

    def close(self) -> None:
        """End the stream; safe to call twice."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._requests.put(None)  # the library's thread that waits for requests ends with them
        if self._call is not None:
            self._call.cancel()
            self._call = None

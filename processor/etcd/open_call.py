"""A call that stays open, so that gRPC's thread for the channel stays, too.

The thread ends with the last open call of its channel, and the next call waits for a new one to start. Between the
commits of a busy shard that happened every time, and took a sixth of the loop.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

OpenStream = Callable[[Iterator[Any]], Any]
"""Open a stream of requests in both directions; returns grpc's call."""


class OpenCall:
    """A stream without messages. `keep` opens it again after it broke, for example with its server."""

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

"""A TCP proxy on loopback in front of one server, which fails as networks and servers do, when it is told to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, TypeVar

CHUNK_BYTES = 65_536
# A queue's length bounds what is under way when there is a delay.
CHUNKS_MAX = 256
COMMAND_TIMEOUT_S = 10.0

Result = TypeVar("Result")
Matches = Callable[[bytes], bool]


class Mode(Enum):
    """What happens to connections and their bytes."""

    PASS = "everything passes"  # noqa: S105 - no secret
    SWALLOW = "requests pass, replies vanish, connections stay"
    REFUSE = "nobody listens, and what was connected is cut"


class Proxy:
    """Passes bytes between its own address and `target` (host:port) from a thread of its own, until `close`.

    The port is kept over all modes. A connection of which replies were swallowed is cut when the mode ends: TCP does
    not lose bytes and go on. The counts are of all connections so far.
    """

    def __init__(self, target: str, *, port: int = 0) -> None:
        self._target = _host_and_port(target)
        self._mode = Mode.PASS
        self._delay_s = 0.0
        self._trap: Matches | None = None
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self.request_bytes = 0
        self.reply_bytes = 0
        self.swallowed_bytes = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._port = port
        self._command(self._listen())

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return f"127.0.0.1:{self._port}"

    @property
    def mode(self) -> Mode:
        """What it does at present."""
        return self._mode

    def pass_on(self) -> None:
        """Do what a cable does."""
        self._command(self._change(Mode.PASS))

    def swallow_replies(self) -> None:
        """Pass requests on and drop the answers from now on."""
        self._command(self._change(Mode.SWALLOW))

    def swallow_replies_from(self, matches: Matches) -> None:
        """Begin to swallow with the first request bytes (as they come out of the socket) of which this is true."""
        self._trap = matches

    def refuse(self) -> None:
        """Cut everything and listen no more."""
        self._command(self._change(Mode.REFUSE))

    def cut(self) -> None:
        """Break every connection once; new ones are welcome."""
        self._command(self._cut())

    def delay(self, each_way_ms: float) -> None:
        """Let every byte from now on take so much longer, in either direction."""
        self._delay_s = each_way_ms / 1000

    def close(self) -> None:
        """End; safe to call twice."""
        if self._thread.is_alive():
            self._command(self._change(Mode.REFUSE))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _command(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(COMMAND_TIMEOUT_S)

    async def _change(self, mode: Mode) -> None:
        self._trap = None
        self._mode = mode
        if mode is Mode.REFUSE:
            await self._stop_listening()
            await self._cut()
        else:
            await self._listen()
            await _end([link for link in self._links if link.has_hole and mode is Mode.PASS])

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        await _end(list(self._links))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        link = _Link(writer, server[1])
        self._links.add(link)
        link.tasks = [
            asyncio.create_task(_shuttle(reader, server[1], self._request, self._due_s)),
            asyncio.create_task(_shuttle(server[0], writer, lambda chunk: self._reply(link, chunk), self._due_s)),
        ]
        # either side's end is the end of both
        await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
        self._links.discard(link)
        await _end([link])

    def _due_s(self) -> float:
        return self._loop.time() + self._delay_s

    def _request(self, chunk: bytes) -> bool:
        if self._trap is not None and self._trap(chunk):
            self._trap = None
            self._mode = Mode.SWALLOW
        self.request_bytes += len(chunk)
        return True

    def _reply(self, link: "_Link", chunk: bytes) -> bool:
        if self._mode is Mode.SWALLOW or link.has_hole:
            link.has_hole = True
            self.swallowed_bytes += len(chunk)
            return False
        self.reply_bytes += len(chunk)
        return True


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.tasks: list[asyncio.Task[None]] = []
        self.has_hole = False


async def _end(links: list[_Link]) -> None:
    for link in links:
        for task in link.tasks:
            task.cancel()
        for writer in link.writers:
            writer.transport.abort()
    for link in links:
        await asyncio.gather(*link.tasks, return_exceptions=True)


async def _shuttle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Matches, due_s: Callable[[], float]
) -> None:
    """Hand chunks over, each when it is due, in order, until either side ends."""
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_MAX)
    receiving = asyncio.create_task(_receive(reader, chunks, due_s))
    try:
        with contextlib.suppress(OSError):
            while True:
                at_s, chunk = await chunks.get()
                if not chunk:
                    return
                await asyncio.sleep(at_s - asyncio.get_running_loop().time())
                if passes(chunk):
                    writer.write(chunk)
                    await writer.drain()
    finally:
        receiving.cancel()


async def _receive(
    reader: asyncio.StreamReader, chunks: asyncio.Queue[tuple[float, bytes]], due_s: Callable[[], float]
) -> None:
    """Queue what comes; an empty chunk is the end."""
    chunk = b"-"
    while chunk:
        try:
            chunk = await reader.read(CHUNK_BYTES)
        except OSError:
            chunk = b""
        await chunks.put((due_s(), chunk))


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)

"""A broker that says little: it knows the requests by which clients look around, and answers as a test wants it.

Just enough of Kafka's protocol for a client to connect and to ask for metadata. A real broker answers without any
broker while it is fenced (it was frozen for longer than its session, for example); that takes seconds and luck.
"""

import socket
import struct
import threading
from types import TracebackType
from typing import Literal, Self

API_VERSIONS = 18
METADATA = 3
METADATA_VERSION = 13
NODE = 1
TOPIC_ID = bytes(range(16))

Mood = Literal["whole", "hollow", "failing"]


class HollowBroker:
    """Listens on a loopback port. `mood`: answers with itself and the topics; with neither; with an error alone."""

    def __init__(self) -> None:
        self.mood: Mood = "whole"
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.close()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            while size := stream.read(4):
                request = stream.read(int.from_bytes(size, "big"))
                api, version, correlation = struct.unpack_from(">hhi", request)
                answer = struct.pack(">i", correlation) + self._answer(api, version, request)
                connection.sendall(struct.pack(">i", len(answer)) + answer)
        except OSError:
            return

    def _answer(self, api: int, version: int, request: bytes) -> bytes:
        if api == METADATA:
            self.asked += 1
            return b"\0" + self._metadata(_topics(request))
        return _api_versions(version)

    def _metadata(self, topics: list[bytes]) -> bytes:
        """Return the body of version 13, all lengths of which are one more than what follows."""
        if self.mood != "whole":
            error = 0 if self.mood == "hollow" else 129
            return struct.pack(">i", 0) + b"\x01" + _text(b"cluster") + struct.pack(">i", -1) + b"\x01" + _end(error)
        broker = struct.pack(">i", NODE) + _text(b"127.0.0.1") + struct.pack(">i", self._port) + b"\0\0"
        described = b"".join(
            struct.pack(">h", 0) + _text(name) + TOPIC_ID + b"\0" + b"\x02" + _PARTITION + struct.pack(">i", 0) + b"\0"
            for name in topics
        )
        body = struct.pack(">i", 0) + b"\x02" + broker + _text(b"cluster") + struct.pack(">i", NODE)
        return body + bytes((len(topics) + 1,)) + described + _end(0)


_ONE_NODE = b"\x02" + struct.pack(">i", NODE)
_PARTITION = struct.pack(">hiii", 0, 0, NODE, 0) + _ONE_NODE + _ONE_NODE + b"\x01" + b"\0"


def _end(error: int) -> bytes:
    return struct.pack(">h", error) + b"\0"


def _text(value: bytes) -> bytes:
    return bytes((len(value) + 1,)) + value


def _topics(request: bytes) -> list[bytes]:
    """Return the names that a metadata request asks for."""
    client_length = int.from_bytes(request[8:10], "big")
    at = 10 + client_length + 1
    count, at, names = request[at] - 1, at + 1, []
    for _ in range(max(0, count)):
        at += 16
        length = request[at] - 1
        names.append(request[at + 1 : at + 1 + length])
        at += 1 + length + 1
    return names


def _api_versions(version: int) -> bytes:
    known = ((API_VERSIONS, 0, 3), (METADATA, METADATA_VERSION, METADATA_VERSION))
    if version < 3:
        listed = b"".join(struct.pack(">hhh", *api) for api in known)
        return struct.pack(">hi", 0, len(known)) + listed
    listed = b"".join(struct.pack(">hhh", *api) + b"\0" for api in known)
    return struct.pack(">h", 0) + bytes((len(known) + 1,)) + listed + struct.pack(">i", 0) + b"\0"

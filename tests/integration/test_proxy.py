"""The proxy against a server that sends back what it gets."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.proxy import Mode, Proxy
from tests.waiting import wait_until

ANSWER_TIMEOUT_S = 5.0
SILENCE_S = 0.3


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, and keeps it."""

    def handle(self) -> None:
        while chunk := self.request.recv(65_536):
            self.server.received += chunk  # type: ignore[attr-defined]
            self.request.sendall(chunk)


class EchoServer(socketserver.ThreadingTCPServer):
    """A thread a connection; `received` is all of theirs."""

    daemon_threads = True
    block_on_close = False
    received = b""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections that break are what these tests are about."""


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[Proxy]:
    proxy = Proxy(f"127.0.0.1:{server.server_address[1]}")
    yield proxy
    proxy.close()
    proxy.close()


def connect(proxy: Proxy) -> socket.socket:
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S)


def ask(connection: socket.socket, text: bytes) -> bytes:
    """Return the answer, empty when the connection is broken."""
    try:
        connection.sendall(text)
        return receive(connection, len(text))
    except ConnectionError:
        return b""


def receive(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes, fewer when the connection ends before."""
    found = b""
    while len(found) < size and (chunk := connection.recv(size - len(found))):
        found += chunk
    return found


def test_what_is_sent_comes_back_and_is_counted(proxy: Proxy) -> None:
    text = bytes(range(256)) * 2000
    with connect(proxy) as connection:
        assert ask(connection, text) == text
    assert (proxy.request_bytes, proxy.reply_bytes, proxy.connections) == (len(text), len(text), 1)


def test_a_swallowed_reply_never_comes_and_its_connection_is_cut_afterwards(proxy: Proxy, server: EchoServer) -> None:
    with connect(proxy) as holed, connect(proxy) as quiet:
        assert ask(holed, b"before") == b"before"
        assert ask(quiet, b"before") == b"before"
        proxy.swallow_replies()
        holed.sendall(b"during")
        wait_until(lambda: proxy.swallowed_bytes == 6, what="the reply is swallowed")
        assert server.received.endswith(b"during")
        holed.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            holed.recv(1)
        proxy.pass_on()
        assert ask(holed, b"after") == b""
        assert ask(quiet, b"after") == b"after"


def test_swallowing_begins_with_the_request_that_is_waited_for(proxy: Proxy) -> None:
    proxy.swallow_replies_from(lambda chunk: chunk.startswith(b"commit"))
    with connect(proxy) as connection:
        assert ask(connection, b"begin") == b"begin"
        connection.sendall(b"commit")
        wait_until(lambda: proxy.swallowed_bytes == 6, what="the reply is swallowed")
        assert proxy.mode is Mode.SWALLOW


def test_who_is_refused_finds_nobody_until_it_is_over(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection, b"before") == b"before"
        proxy.refuse()
        assert ask(connection, b"during") == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    address = proxy.address
    proxy.pass_on()
    assert proxy.address == address
    with connect(proxy) as connection:
        assert ask(connection, b"after") == b"after"


def test_a_cut_breaks_what_is_connected_and_nothing_else(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection, b"before") == b"before"
        proxy.cut()
        assert ask(connection, b"during") == b""
    with connect(proxy) as connection:
        assert ask(connection, b"after") == b"after"


def test_a_delay_counts_each_way_and_keeps_the_order_when_it_ends(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection, b"before") == b"before"
        proxy.delay(100)
        began_s = time.monotonic()
        assert ask(connection, b"during") == b"during"
        assert time.monotonic() - began_s >= 0.2
        connection.sendall(b"late,")
        wait_until(lambda: proxy.request_bytes == len(b"beforeduringlate,"), what="the late one is under way")
        proxy.delay(0)
        connection.sendall(b"early")
        assert receive(connection, 10) == b"late,early"


def test_a_server_that_is_gone_is_a_connection_that_breaks(server: EchoServer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        proxy = Proxy(f"127.0.0.1:{probe.getsockname()[1]}")
        with connect(proxy) as connection:
            assert ask(connection, b"anybody?") == b""
        proxy.close()
    assert server.received == b""

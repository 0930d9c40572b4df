"""The HTTP server: a thread that hands every request to the API and writes the answer."""

import socket
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from processor.engine.errors import InvalidRequest
from processor.runtime.addresses import Address, listen_address, parse
from processor.runtime.closing import Closing
from processor.service.responses import Response, problem

REQUEST_TIMEOUT_S = 10
POLL_INTERVAL_S = 0.1
LINGER_S = 2.0
LINGER_BYTES_MAX = 1 << 20
"""So much is still read of a request that was answered before its end: a reset would take the answer away."""
ALLOWED = {"Allow": "GET, HEAD"}
WORD_MAX = 20
SENTENCE_MAX = 200

Log = Callable[..., None]


class HttpServer(Closing):
    """Serves from construction until `close`. Raises InvalidRequest when the address cannot be listened on.

    `log` hears of requests that a bug left without an answer.
    """

    def __init__(
        self, address: str, answer: Callable[[str], Response], log: Log = lambda _event, **_fields: None
    ) -> None:
        try:
            self._server = _Server(parse(listen_address(address), port_min=0), answer, log)
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"cannot listen on {address}: {error}") from error
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_INTERVAL_S,), name="http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens; port 0 has become a real one."""
        host, port = self._server.server_address[:2]
        return f"http://{Address(str(host), port)}"

    def close(self) -> None:
        """Stop listening; requests under way are finished."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Address, answer: Callable[[str], Response], log: Log) -> None:
        self.answer = answer
        self.log = log
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family, host = found[0], str(found[4][0])
        super().__init__((host, address.port), _Handler)

    def server_bind(self) -> None:
        """Bind; the IPv6 address of everything, `::`, takes IPv4, too."""
        if self.address_family == socket.AF_INET6 and socket.has_dualstack_ipv6():
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a request, on one line: the library's way is a traceback on stderr."""
        del request, client_address
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that went away is no error of ours
            self.log("http_request_failed", error=f"{type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"
    """What is taken for the version of a request without one: an answer of 0.9 would have no status."""
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        self._write(self._answered())

    def do_HEAD(self) -> None:
        self._write(self._answered())

    def parse_request(self) -> bool:
        """Read the request's head; an empty first line, or one that is no header, is answered, too."""
        if not self.raw_requestline.strip():
            self.command, self.requestline, self.request_version = "", "", self.default_request_version
            self.send_error(HTTPStatus.BAD_REQUEST, "the request line is empty")
            return False
        if not super().parse_request():
            return False
        if self.headers.defects:  # what stands behind such a line was not read as headers
            self.send_error(HTTPStatus.BAD_REQUEST, "a line of the headers is none")
            return False
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Response what the library refuses: a method without a `do_…`, a request line or headers beyond its limits."""
        del explain
        if code == HTTPStatus.NOT_IMPLEMENTED:
            sentence = f"{self.command[:WORD_MAX]} is not allowed here: this API is read with GET and HEAD"
            self._refuse(problem(HTTPStatus.METHOD_NOT_ALLOWED, sentence, headers=ALLOWED))
        else:
            status = HTTPStatus(code)
            self._refuse(problem(status, (message or status.description or status.phrase)[:SENTENCE_MAX]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
        """Say nothing: probes come every second."""

    def _answered(self) -> Response:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # its body is not read, and must not be taken for the next request
        try:
            return self.server.answer(self.path)
        except Exception as error:  # noqa: BLE001 - whatever the bug, this client gets an answer and others go on
            path = self.path[:SENTENCE_MAX]
            self.server.log("http_request_failed", path=path, error=f"{type(error).__name__}: {error}")
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this request met a bug: the log tells which")

    def _refuse(self, response: Response) -> None:
        """Response a request that was not read to its end, and end the connection."""
        self.close_connection = True
        self._write(response)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(LINGER_S)
        deadline_s, left = time.monotonic() + LINGER_S, LINGER_BYTES_MAX
        while left > 0 and time.monotonic() < deadline_s:
            read = len(self.connection.recv(1 << 16))
            if not read:
                return
            left -= read

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

"""The HTTP server: a thread that hands every request to the API and writes the answer."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self

from processor.engine.errors import InvalidRequest
from processor.service.api import Answer

LOOPBACK = "127.0.0.1"
REQUEST_TIMEOUT_S = 10
POLL_INTERVAL_S = 0.1


class HttpServer:
    """Serves from construction until `close`. Raises InvalidRequest when the address cannot be listened on."""

    def __init__(self, address: str, answer: Callable[[str], Answer]) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._server = _Server((host or LOOPBACK, int(port)), _handler(answer))
        except (OSError, OverflowError) as error:
            raise InvalidRequest(f"cannot listen on {address}: {error}") from error
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_INTERVAL_S,), name="http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens; port 0 has become a real one."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """Stop listening; requests under way are finished."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(answer: Callable[[str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = REQUEST_TIMEOUT_S

        def do_GET(self) -> None:
            self._write(answer(self.path), with_body=True)

        def do_HEAD(self) -> None:
            self._write(answer(self.path), with_body=False)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
            """Say nothing: probes come every second."""

        def _write(self, response: Answer, *, with_body: bool) -> None:
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if with_body:
                self.wfile.write(response.body)

    return Handler

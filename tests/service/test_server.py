import json
import socket
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from processor.engine.errors import InvalidRequest
from processor.service.responses import Response
from processor.service.server import HttpServer


def _echo(target: str) -> Response:
    return Response(HTTPStatus.OK, "text/plain", target.encode())


def _address(server: HttpServer) -> tuple[str, int]:
    url = urlsplit(server.url)
    return str(url.hostname), url.port or 0


def _all_of(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    content = b""
    while part := connection.recv(1 << 16):
        content += part
    return content


def _request(
    server: HttpServer, method: str, target: str, content: bytes | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.request(method, target, content)
    response = connection.getresponse()
    try:
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def test_it_listens_on_loopback_and_answers() -> None:
    with HttpServer(":0", _echo) as server:
        assert server.url.startswith("http://127.0.0.1:")
        status, body, headers = _request(server, "GET", "/readyz?x=1")
    assert (status, body) == (200, b"/readyz?x=1")
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", ["[::1]:0", "localhost:0", "0", ":0"])
def test_an_address_may_be_of_ipv6_a_name_or_a_port_alone(address: str) -> None:
    with HttpServer(address, _echo) as server:
        assert _request(server, "GET", "/livez")[:2] == (200, b"/livez")


def test_an_ipv6_socket_takes_ipv4_too() -> None:
    with HttpServer("[::ffff:127.0.0.1]:0", _echo) as server:
        where = ("127.0.0.1", urlsplit(server.url).port or 0)
        with socket.create_connection(where, timeout=10) as connection:
            connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert _all_of(connection).endswith(b"/livez")


def test_a_head_has_the_headers_of_a_get_and_no_body() -> None:
    with HttpServer("127.0.0.1:0", _echo) as server:
        status, body, headers = _request(server, "HEAD", "/livez")
    assert (status, body, headers["Content-Length"]) == (200, b"", "6")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "X" * 1000])
def test_other_methods_are_refused_with_those_that_are_allowed(method: str) -> None:
    with HttpServer("127.0.0.1:0", _echo) as server:
        status, body, headers = _request(server, method, "/livez", b"x" * 100_000)
    assert (status, headers["Allow"], headers["Content-Type"]) == (405, "GET, HEAD", "application/problem+json")
    assert json.loads(body)["detail"] == f"{method[:20]} is not allowed here: this API is read with GET and HEAD"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 1_000_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 1000 + b"\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno header\r\nConnection: close\r\n\r\n", 400),
        (b"one two three four\r\n\r\n", 400),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_or_too_long_is_answered(
    request_bytes: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with HttpServer(":0", _echo) as server:
        with socket.create_connection(_address(server), timeout=10) as connection:
            connection.sendall(request_bytes)
            head, _, body = _all_of(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert json.loads(body)["status"] == status
        assert _request(server, "GET", "/livez")[0] == 200, "others go on"
    assert capfd.readouterr().err == ""


def test_a_body_is_not_taken_for_the_next_request() -> None:
    with HttpServer(":0", _echo) as server, socket.create_connection(_address(server), timeout=10) as connection:
        connection.sendall(b"GET /one HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /two HTTP/1.1\r\n\r\n")
        answer = _all_of(connection)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"/one")


def test_a_bug_and_a_client_that_leaves_are_no_tracebacks(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, dict[str, object]]] = []

    def buggy(target: str) -> Response:
        raise ZeroDivisionError(target)

    with HttpServer(":0", buggy, lambda event, **fields: told.append((event, fields))) as server:
        with socket.create_connection(_address(server), timeout=10) as leaver:
            leaver.sendall(b"GET /left HT")
        status, body, _ = _request(server, "GET", "/bug")
    assert (status, json.loads(body)["title"]) == (500, "Internal Server Error")
    assert told == [("http_request_failed", {"path": "/bug", "error": "ZeroDivisionError: /bug"})]
    assert capfd.readouterr().err == ""


def test_an_address_in_use_is_an_error_in_a_sentence() -> None:
    with HttpServer(":0", _echo) as server, pytest.raises(InvalidRequest, match="cannot listen on"):
        HttpServer(urlsplit(server.url).netloc, _echo)


def test_after_close_nobody_listens() -> None:
    server = HttpServer(":0", _echo)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        _request(server, "GET", "/livez")

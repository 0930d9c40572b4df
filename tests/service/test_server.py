from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from processor.engine.errors import InvalidRequest
from processor.service.api import Answer
from processor.service.server import HttpServer


def _echo(target: str) -> Answer:
    return Answer(HTTPStatus.OK, "text/plain", target.encode())


def _request(server: HttpServer, method: str, target: str) -> tuple[int, bytes, dict[str, str]]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.request(method, target)
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


def test_a_head_has_no_body_and_other_methods_are_refused() -> None:
    with HttpServer("127.0.0.1:0", _echo) as server:
        assert _request(server, "HEAD", "/livez")[1] == b""
        assert _request(server, "POST", "/livez")[0] == HTTPStatus.NOT_IMPLEMENTED


def test_an_address_in_use_is_an_error_in_a_sentence() -> None:
    with HttpServer(":0", _echo) as server, pytest.raises(InvalidRequest, match="cannot listen on"):
        HttpServer(urlsplit(server.url).netloc, _echo)


def test_after_close_nobody_listens() -> None:
    server = HttpServer(":0", _echo)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        _request(server, "GET", "/livez")

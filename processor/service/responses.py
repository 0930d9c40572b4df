"""HTTP responses: JSON, text, and problem details (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
TEXT_TYPE = "text/plain; charset=utf-8"


class Response(msgspec.Struct, frozen=True):
    """A status, a content type, a body, and headers beyond those of every response."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = {}


def document(content: Any) -> Response:
    """Return a JSON document."""
    return Response(HTTPStatus.OK, JSON_TYPE, _json(content))


def text(code: HTTPStatus, content: str) -> Response:
    """Return plain text."""
    return Response(code, TEXT_TYPE, content.encode())


def problem(
    code: HTTPStatus, sentence: str, *, headers: Mapping[str, str] | None = None, **members: object
) -> Response:
    """Return an error. `detail` and, for older clients, `error` hold the sentence; `members` are added."""
    content = {
        "type": "about:blank",
        "title": code.phrase,
        "status": code.value,
        "detail": sentence,
        "error": sentence,
        **members,
    }
    return Response(code, PROBLEM_TYPE, _json(content), headers or {})


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

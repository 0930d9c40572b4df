"""Parses a request target into path and parameters. An unknown parameter is an error that lists the known ones."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

PARAMETERS_MAX = 20
WORD_MAX = 40
SHARD = re.compile(r"[0-9]{1,6}")


class BadQueryError(Exception):
    """The request is invalid; the message is one sentence."""


class Target(msgspec.Struct, frozen=True):
    """A path, its segments, and the parameters in the given order."""

    path: str
    segments: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]

    def only(self, *known: str) -> Mapping[str, str]:
        """Return the parameters by name. Raises BadQueryError for an unknown or repeated one."""
        names = [name for name, _ in self.parameters]
        takes = f"{clipped(self.path)} takes {', '.join(known) or 'none'}"
        for name in names:
            if name not in known:
                raise BadQueryError(f"unknown query parameter {clipped(name)!r}: {takes}")
            if names.count(name) > 1:
                raise BadQueryError(f"query parameter {name} is given {names.count(name)} times: once is enough")
        return dict(self.parameters)


def target_of(target: str) -> Target:
    """Parse a request target in origin or absolute form (RFC 9112). Raises BadQueryError."""
    try:
        url = urlsplit(target)
        parameters = parse_qsl(url.query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError as error:
        raise BadQueryError(f"this request target cannot be read: {error}") from error
    return Target(url.path, tuple(unquote(part) for part in url.path.split("/") if part), tuple(parameters))


def shard_of(text: str, count: int) -> int:
    """Parse a shard number; the shard need not exist. Raises BadQueryError."""
    if not SHARD.fullmatch(text):
        raise BadQueryError(f"shard is a number from 0 to {count - 1}, not {clipped(text)!r}")
    return int(text)


def clipped(text: str) -> str:
    """Return a client's text, shortened for an error message."""
    return text if len(text) <= WORD_MAX else f"{text[: WORD_MAX - 1]}…"

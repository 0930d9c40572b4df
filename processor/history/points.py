"""Points in a shard's history, written the same way for every command.

`now` · `seq:120` · `time:2026-11-25T08:00:00Z` · `offset:TOPIC:PARTITION:OFFSET` · `revision:4711` · a snapshot's file
"""

import re
from pathlib import Path

import msgspec

from processor.engine.errors import InvalidRequest
from processor.engine.outputs import rfc3339
from processor.runtime.clock import iso_time_ms

_NUMBER = re.compile(r"\d{1,18}")
_OFFSET = re.compile(r"(?P<topic>[A-Za-z0-9._-]+):(?P<partition>\d{1,9}):(?P<offset>\d{1,18})")
_AGO = re.compile(r"-?(?=\d)(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?")
TIMES = "RFC 3339 (2026-11-25T08:00:00Z; UTC unless it says otherwise), ms since the epoch, or a while ago (10m, 1h30m)"


class Now(msgspec.Struct, frozen=True):
    """The present state."""


class AtSeq(msgspec.Struct, frozen=True):
    """The state that this commit left; 0 is the empty state."""

    seq: int


class AtTime(msgspec.Struct, frozen=True):
    """The state that the last commit up to this time left, in ms since the epoch."""

    time_ms: int


class AtOffset(msgspec.Struct, frozen=True):
    """The state that the commit left which reduced this offset of an input."""

    topic: str
    partition: int
    offset: int


class AtRevision(msgspec.Struct, frozen=True):
    """The state that the store had at this revision."""

    revision: int


class InFile(msgspec.Struct, frozen=True):
    """The state in a file."""

    path: Path


Past = AtSeq | AtTime | AtOffset | AtRevision
Point = Now | Past | InFile


def point_of(text: str, *, now_ms: int) -> Point:
    """Parse a point. Raises InvalidRequest, which lists the forms."""
    word, _, rest = text.partition(":")
    match word:
        case "now" if not rest:
            return Now()
        case "seq":
            return at_seq(rest)
        case "time":
            return at_time(rest, now_ms=now_ms)
        case "offset":
            return at_offset(rest)
        case "revision":
            return at_revision(rest)
        case _ if Path(text).is_file():
            return InFile(Path(text))
        case _:
            raise InvalidRequest(
                f"{text!r} is neither a file nor a point: now, seq:N, time:T, offset:TOPIC:PARTITION:OFFSET, revision:N"
            )


def at_seq(text: str) -> AtSeq:
    """Parse a seq. Raises InvalidRequest."""
    return AtSeq(_number(text, "a seq"))


def at_revision(text: str) -> AtRevision:
    """Parse a revision. Raises InvalidRequest."""
    return AtRevision(_number(text, "a revision"))


def at_offset(text: str) -> AtOffset:
    """Parse TOPIC:PARTITION:OFFSET. Raises InvalidRequest."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text!r} is no TOPIC:PARTITION:OFFSET, for example cluster.control-events:0:42")
    return AtOffset(found["topic"], int(found["partition"]), int(found["offset"]))


def at_time(text: str, *, now_ms: int) -> AtTime:
    """Parse a time (see TIMES). Raises InvalidRequest, also for one in the future."""
    time_ms = _time_ms(text.strip(), now_ms)
    if time_ms > now_ms:
        raise InvalidRequest(f"{text} is in the future: it is {rfc3339(now_ms)} now")
    return AtTime(time_ms)


def _time_ms(text: str, now_ms: int) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    if text.strip("-") and (ago := _AGO.fullmatch(text)):
        days, hours, minutes, seconds = (int(part or 0) for part in ago.groups())
        return now_ms - 1000 * (seconds + 60 * (minutes + 60 * (hours + 24 * days)))
    try:
        return iso_time_ms(text)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{text!r} is no time: {TIMES}") from error


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{text!r} is not {what}: a number is meant")
    return int(text)

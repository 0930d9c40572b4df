"""Decoded records as rows and as lines of text."""

from collections.abc import Mapping
from typing import Any

from processor.cli.output import cell
from processor.client.codec import DecodedRecord
from processor.engine.outputs import rfc3339
from processor.runtime.clock import now_ms

TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def row_of(record: DecodedRecord) -> dict[str, Any]:
    """Return a record as one JSON object; of several headers with the same name, the last."""
    row = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key,
        "headers": dict(record.headers),
        "type": record.type,
        "value": record.value,
    }
    return row | ({"error": record.error} if record.error else {})


def line_of(row: Mapping[str, Any]) -> str:
    """Return a record as one line of text."""
    place = f"{row['topic']}[{row['partition']}]@{row['offset']}"
    kind = str(row["type"]).rpartition(".")[2] or "?"
    return f"{time_of(row['timestamp_ms'])}  {place}  {cell(row['key'])}  {kind}  {summary(row)}".rstrip()


def summary(row: Mapping[str, Any]) -> str:
    """Summarise a record in a few words."""
    value = row["value"]
    if row.get("error"):
        return f"unreadable: {row['error']}"
    match value:
        case {"transitions": list(transitions)}:
            return ", ".join(transition["type"] for transition in transitions) or "updated"
        case {"code": code, "event_type": event_type}:
            return f"{event_type}: {code}"
        case {"seq": seq, "ranges": ranges}:
            events = sum(span["count"] for span in ranges)
            return f"seq {seq}: {events} events, {value['changed']} changed"
        case None:
            return "-"
        case _:
            return cell(value)


def seconds_since(timestamp_ms: int) -> float:
    """Return how long ago a time was, in s."""
    return round((now_ms() - timestamp_ms) / 1000, 1)


def time_of(timestamp_ms: int) -> str:
    """Return a time as RFC 3339 in UTC with ms; `-` for a negative one, ms since the epoch beyond the year 9999."""
    if timestamp_ms < 0:
        return "-"
    if timestamp_ms > TIME_MS_MAX:
        return str(timestamp_ms)
    return rfc3339(timestamp_ms)

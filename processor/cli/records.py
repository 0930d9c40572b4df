"""Decoded records as rows and as lines, for every command that shows some."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from processor.cli.output import cell
from processor.client.codec import DecodedRecord

TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond that a calendar with four digits for the year can name."""


def row_of(record: DecodedRecord) -> dict[str, Any]:
    """Return a record as one JSON object; of several headers with one name the last is shown."""
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
    """Return a record as one readable line."""
    place = f"{row['topic']}[{row['partition']}]@{row['offset']}"
    kind = str(row["type"]).rpartition(".")[2] or "?"
    return f"{time_of(row['timestamp_ms'])}  {place}  {cell(row['key'])}  {kind}  {gist(row)}".rstrip()


def gist(row: Mapping[str, Any]) -> str:
    """Say in a few words what a record is about."""
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


def time_of(timestamp_ms: int) -> str:
    """Return a time as people read it, UTC to the millisecond; `-` when there is none, digits beyond the year 9999."""
    if timestamp_ms < 0:
        return "-"
    if timestamp_ms > TIME_MS_MAX:
        return str(timestamp_ms)
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

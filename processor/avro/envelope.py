"""A record without its value: size, event id, type, trace and content type."""

import re
from collections.abc import Mapping
from typing import Final

from processor.avro.wire import cut_text
from processor.engine.inputs import Cause, Record
from processor.engine.outputs import CE_ID, CE_TYPE, CONTENT_TYPE, TRACEPARENT

Headers = Mapping[str, bytes | None]

EVENT_ID_BYTES_MAX: Final = 256
HEADERS_MAX: Final = 10_000
"""Kafka's clients read records of up to 100,000 headers, and a dead letter has more than what it was made from."""
AVRO_CONTENT_TYPE: Final = b"application/avro"
JSON_CONTENT_TYPE: Final = b"application/json"
UNKNOWN_TYPE: Final = "unknown"

_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def exceeds(record: Record, bytes_max: int) -> bool:
    """Tell whether key, value and headers (names counted by character) are together larger, or the headers too many."""
    if len(record.headers) > HEADERS_MAX:
        return True
    size = len(record.value or b"") + len(record.key or b"")
    for name, content in record.headers:
        size += len(name) + len(content or b"")
    return size > bytes_max


def cause_of(record: Record, headers: Headers, event_type: str) -> Cause:
    """Return where the event came from; its id is `ce_id`, else `<topic>-<partition>-<offset>`."""
    if not headers:
        event_id = f"{record.topic}-{record.partition}-{record.offset}"
        return Cause(record.topic, record.partition, record.offset, event_id, event_type)
    event_id = header_text(headers, CE_ID) or f"{record.topic}-{record.partition}-{record.offset}"
    return Cause(record.topic, record.partition, record.offset, event_id, event_type, _traceparent(headers))


def header_text(headers: Headers, name: str) -> str:
    """Return a header as text of at most 256 bytes, what is no UTF-8 replaced; empty when it is absent."""
    content = headers.get(name)
    if not content:
        return ""
    return cut_text(content[:EVENT_ID_BYTES_MAX].decode(errors="replace"), EVENT_ID_BYTES_MAX)


def stated_type(headers: Headers, namespace: str) -> str:
    """Return the record name that `ce_type` states, without our namespace; empty when it states none."""
    return header_text(headers, CE_TYPE).removeprefix(namespace + ".")


def is_json(headers: Headers) -> bool:
    """Tell whether the content type is JSON; parameters such as the charset do not matter."""
    content_type = headers.get(CONTENT_TYPE)
    if not content_type or content_type == AVRO_CONTENT_TYPE:
        return False
    return content_type.partition(b";")[0].strip().lower() == JSON_CONTENT_TYPE


def _traceparent(headers: Headers) -> str | None:
    content = headers.get(TRACEPARENT)
    return content.decode() if content and _TRACEPARENT.fullmatch(content) else None

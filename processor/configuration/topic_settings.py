"""Kafka's topic settings: their names and the form of their values. A test compares them with a broker.

`spec.config` of a KafkaTopic holds numbers, booleans, lists and texts; brokers report all values as text.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

Kind = Literal["a whole number", "a number from 0 to 1", "true or false", "words", "text"] | tuple[str, ...]

WHOLE: Final = "a whole number"
RATIO: Final = "a number from 0 to 1"
SWITCH: Final = "true or false"
WORDS: Final = "words"
TEXT: Final = "text"
COMPRESSIONS: Final = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")
STAMPS: Final = ("CreateTime", "LogAppendTime")

KINDS: Final[Mapping[str, Kind]] = {
    "cleanup.policy": WORDS,
    "compression.gzip.level": WHOLE,
    "compression.lz4.level": WHOLE,
    "compression.type": COMPRESSIONS,
    "compression.zstd.level": WHOLE,
    "delete.retention.ms": WHOLE,
    "errors.deadletterqueue.group.enable": SWITCH,
    "file.delete.delay.ms": WHOLE,
    "flush.messages": WHOLE,
    "flush.ms": WHOLE,
    "follower.replication.throttled.replicas": WORDS,
    "index.interval.bytes": WHOLE,
    "leader.replication.throttled.replicas": WORDS,
    "local.retention.bytes": WHOLE,
    "local.retention.ms": WHOLE,
    "max.compaction.lag.ms": WHOLE,
    "max.decompressed.message.bytes": WHOLE,
    "max.message.bytes": WHOLE,
    "message.downconversion.enable": SWITCH,
    "message.format.version": TEXT,
    "message.timestamp.after.max.ms": WHOLE,
    "message.timestamp.before.max.ms": WHOLE,
    "message.timestamp.difference.max.ms": WHOLE,
    "message.timestamp.type": STAMPS,
    "min.cleanable.dirty.ratio": RATIO,
    "min.compaction.lag.ms": WHOLE,
    "min.insync.replicas": WHOLE,
    "preallocate": SWITCH,
    "remote.copy.lag.bytes": WHOLE,
    "remote.copy.lag.ms": WHOLE,
    "remote.log.copy.disable": SWITCH,
    "remote.log.delete.on.disable": SWITCH,
    "remote.storage.enable": SWITCH,
    "retention.bytes": WHOLE,
    "retention.ms": WHOLE,
    "segment.bytes": WHOLE,
    "segment.index.bytes": WHOLE,
    "segment.jitter.ms": WHOLE,
    "segment.ms": WHOLE,
    "unclean.leader.election.enable": SWITCH,
}
"""Topic settings of Apache Kafka up to 4.x, including those removed in 4.0."""
FOREIGN: Final = re.compile(r"(confluent|redpanda)\..+")
"""Settings of vendors; their values are not checked here."""
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,19}")


class InvalidTopicSetting(ValueError):
    """An unknown setting or an invalid value; the message does not repeat the name."""


def broker_value(name: str, value: Any) -> str:
    """Return the value of a setting as brokers report it. Raises InvalidTopicSetting."""
    kind = KINDS.get(name, WORDS)
    if name not in KINDS and not FOREIGN.fullmatch(name):
        (nearest,) = difflib.get_close_matches(name.removeprefix("log."), KINDS, n=1, cutoff=0.0)
        raise InvalidTopicSetting(f"Kafka has no such setting of a topic; the nearest one is {nearest}")
    if isinstance(value, list) and kind == WORDS:
        return ",".join(_text(item) for item in value)
    word = None if isinstance(value, list) else _in_form(kind, _text(value))
    if word is None:
        raise InvalidTopicSetting(f"must be {_form(kind)}, not {value!r}")
    return word


def _in_form(kind: Kind, text: str) -> str | None:
    """Return the text as brokers report it, None if it is invalid."""
    match kind:
        case "words":
            return ",".join(word.strip() for word in text.split(","))
        case "true or false":
            return text.lower() if text.lower() in {"true", "false"} else None
        case "a whole number":
            return str(int(text)) if _WHOLE.fullmatch(text) else None
        case "a number from 0 to 1":
            return str(float(text)) if _is_ratio(text) else None
        case "text":
            return text
        case words:
            return text if text in words else None


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float() | str():
            return str(value).strip()
    raise InvalidTopicSetting("there is no value" if value is None else f"must be a single value, not {value!r}")


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _form(kind: Kind) -> str:
    return kind if isinstance(kind, str) else f"one of {', '.join(kind)}"

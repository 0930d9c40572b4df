"""Logging: structlog to stderr, for people or as one JSON object a line; libraries are quiet."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

import structlog

from processor.runtime.terminal import coloured

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

CHATTERS = ("grpc", "asyncio", "processor.kafka")
"""Loggers of libraries whose every hiccup is a line: only what is an error is told, and not again and again."""
WARNINGS = frozenset({"instance_name_shared", "output_fenced"})
"""Events of the engine that a person should look into."""
REPEATED_AFTER_S = 60.0
"""A library's word of one kind is told again after so long."""


def set_up(log_format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send all logs to stderr in this form; call once, first of all."""
    stream = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _renderer(log_format, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forward(number)], level=number, force=True)
    for name in CHATTERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(number, logging.ERROR))
        logger.filters = [Rarely()]


def log_function() -> Callable[..., None]:
    """Return `log(event, **fields)` for the engine; it may be called from any thread."""
    logger = structlog.get_logger()

    def log(event: str, **fields: Any) -> None:
        (logger.warning if event in WARNINGS else logger.info)(event, **fields)

    return log


def warning_function() -> Callable[..., None]:
    """Return `warn(event, **fields)` for unusual events; every line is flushed."""
    logger = structlog.get_logger()

    def warn(event: str, **fields: Any) -> None:
        logger.warning(event, **fields)

    return warn


def error_function() -> Callable[..., None]:
    """Return `fail(event, **fields)` for what ends the process."""
    logger = structlog.get_logger()

    def fail(event: str, **fields: Any) -> None:
        logger.error(event, **fields)

    return fail


def _renderer(log_format: LogFormat, stream: TextIO) -> Any:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(colors=coloured(stream), pad_event_to=0)


class Rarely(logging.Filter):
    """Lets one message of a kind pass a minute, with the number of those that did not; a kind is its first word.

    In an outage every client of every broker tells of each attempt. The first word is what librdkafka calls facility.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._told_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one message."""
        text, now_s = record.getMessage(), self._monotonic_s()
        kind = text.partition(" ")[0]
        if kind in self._told_s and now_s < self._told_s[kind] + REPEATED_AFTER_S:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return False
        self._told_s[kind] = now_s
        if held_back := self._held_back.pop(kind, 0):
            record.msg, record.args = f"{text} (and {held_back} more like it since the last one told)", ()
        return True


class _Forward(logging.Handler):
    """Forwards the log records of libraries to structlog, so that all lines have one format."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), logger=record.name)

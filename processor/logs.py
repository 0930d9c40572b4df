"""Logging: structlog to stderr, for people or as one JSON object a line; libraries are quiet."""

import logging
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO

import structlog

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

CHATTERS = ("grpc", "asyncio", "processor.kafka")
"""Loggers of libraries whose every hiccup is a line: only what is an error is told."""


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
        logging.getLogger(name).setLevel(max(number, logging.ERROR))


def log_function() -> Callable[..., None]:
    """Return `log(event, **fields)` for the engine; it may be called from any thread."""
    logger = structlog.get_logger()

    def log(event: str, **fields: Any) -> None:
        logger.info(event, **fields)

    return log


def _renderer(log_format: LogFormat, stream: TextIO) -> Any:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    from processor.cli.output import coloured

    return structlog.dev.ConsoleRenderer(colors=coloured(stream), pad_event_to=0)


class _Forward(logging.Handler):
    """Hands what libraries log to structlog, so that there is one form of line."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), logger=record.name)

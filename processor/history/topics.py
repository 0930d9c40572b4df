"""Where the past of a shard is read: its topics by role, records between two offsets, and whom an event names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import takewhile
from typing import Any, ParamSpec

import msgspec

from processor.client.codec import DecodedRecord
from processor.engine.announcements import Role
from processor.engine.inputs import Record
from processor.engine.outputs import CE_ID
from processor.history.commit_log import Log

Place = ParamSpec("Place")
Effects = Callable[[int, list[Record], str], "list[tuple[str, ...]] | None"]
"""(seq, the records that it applied in their order, `<kind>/<name>`) → for each record the fields of the entity that it
changed, () for none; None: it cannot be told."""


class Sources(msgspec.Struct, frozen=True):
    """Where a history is read: topics by role, how one is opened by name, how a record is decoded.

    `effects` tells what the events of one commit did to an entity.
    """

    topics: Mapping[Role, str]
    open: Callable[[str], AbstractContextManager[Log]]
    decode: Callable[[Record], DecodedRecord]
    effects: Effects = lambda _seq, _records, _key: None


def opened_once(
    open_: Callable[Place, AbstractContextManager[Log]], opened: ExitStack
) -> Callable[Place, AbstractContextManager[Log]]:
    """Return what opens each place once and leaves it open until `opened` is closed.

    A consumer costs more than what it reads here. Whoever opens a place ends what was read of it before.
    """
    logs: dict[object, Log] = {}

    @contextmanager
    def once(*place: Place.args, **named: Place.kwargs) -> Iterator[Log]:
        if place not in logs:
            logs[place] = opened.enter_context(open_(*place, **named))
        yield logs[place]

    return once


def between(log: Log, partition: int, start: int, end: int) -> Iterable[Record]:
    """Return the records of a partition at offsets from `start` inclusive to `end` exclusive."""
    return takewhile(lambda record: record.offset < end, log.until_end({partition: start}))


def names(key: str, event_type: str, data: Any) -> bool:
    """Tell whether an event names the entity `<kind>/<name>`; a failure is named by naming what failed."""
    kind, _, name = key.removeprefix("failure/").partition("/")
    if not isinstance(data, Mapping):
        return False
    if kind == "policy":
        return event_type == "PolicyChanged"
    if kind == "responder":
        return bool(f"{data.get('role')}/{data.get('responder')}" == name)
    return bool(data.get(kind) == name)


def event_id_of(record: DecodedRecord) -> str:
    """Return an event's id: its own, else its place."""
    stated = dict(record.headers).get(CE_ID)
    return stated or f"{record.topic}-{record.partition}-{record.offset}"


def event_type_of(record: DecodedRecord) -> str:
    """Return an event's type without its namespace."""
    return record.type.rpartition(".")[2]

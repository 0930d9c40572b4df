"""`submit`: events to the right topic and partition, and what became of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from processor.assembly.connections import group_of
from processor.cli.context import CommandContext
from processor.cli.exits import Exit, invalid, unreachable, usage
from processor.cli.options import SECONDS, ClusterName, ConfigFile, Output, within
from processor.cli.output import emit_rows, note
from processor.cli.records import TIME_MS_MAX
from processor.client.codec import EventEncoder, event_producer, no_such_type
from processor.client.waiting import Waiter
from processor.cluster.event_parsing import InvalidEvent
from processor.cluster.events import EVENT_TYPES
from processor.engine.inputs import RecordId
from processor.kafka.offsets import OffsetReader
from processor.produce import EventProducer
from processor.runtime.files import NotText, decoded, input_of

WAIT_S = 30.0
EMBEDDED_LOT = 1000
"""Events sent to an embedded broker before waiting until they are consumed."""


def submit(  # noqa: PLR0913 - the options of the command
    type_: Annotated[str | None, Parameter(name="TYPE", help="Event type, with --data.")] = None,
    *,
    data: Annotated[str | None, Parameter(help="The event's data as JSON.")] = None,
    file: Annotated[
        Path | None,
        Parameter(name=["--file", "-f"], allow_leading_hyphen=True, help="One event a line as JSON; `-` is stdin."),
    ] = None,
    at_ms: Annotated[
        int | None,
        Parameter(name="--at-ms", help="Its time, ms since the epoch; now unless given."),
        within(1, TIME_MS_MAX),
    ] = None,
    wait: Annotated[bool, Parameter(negative="", help="Wait for each event's outcome.")] = False,
    timeout: Annotated[float, Parameter(help="Seconds to wait for outcomes."), SECONDS] = WAIT_S,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Check events, produce them, and print where they went; with --wait what became of each.

    Nothing is produced unless all of them are valid. Exit 5 when one was refused, 3 when outcomes did not come in time.
    """
    if type_ is not None:
        _check_type(type_)
    if (type_ is None) != (data is None) or (type_ is None) == (file is None):
        raise usage("give either TYPE with --data JSON, or --file FILE.jsonl")
    events = (
        list(_from_file(file)) if file is not None else [_event(type_, at_ms, _json(data or "", "--data"), "--data")]
    )
    return _submitted(CommandContext(config), events, cluster, timeout_s=timeout if wait else None, output=output)


def _check_type(type_: str) -> None:
    if type_ not in EVENT_TYPES:
        raise invalid(no_such_type(type_))


def _submitted(
    context: CommandContext,
    events: list[dict[str, Any]],
    cluster: str | None,
    *,
    timeout_s: float | None,
    output: Output,
) -> int:
    encode = EventEncoder(context.catalogue)
    for event in events:
        try:
            encode(event["type"], event["data"])
        except InvalidEvent as error:
            raise invalid(f"{event['where']}: {error}") from error
    partition = context.partition_of(cluster)
    waiter = (
        Waiter(context.connection, context.topics, context.decode, partition=partition)
        if timeout_s is not None
        else None
    )
    with event_producer(
        context.connection, context.topics, encode, clusters=context.settings.clusters, cluster=cluster
    ) as producer:
        places = _produced(context, producer, events, partition)
    rows = [
        {
            "type": event["type"],
            "topic": place.topic,
            "partition": place.partition,
            "offset": place.offset,
            "id": str(place),
        }
        for event, place in zip(events, places, strict=True)
    ]
    if waiter is None or timeout_s is None:
        emit_rows(rows, output, columns=("type", "topic", "partition", "offset"), name="id")
        return Exit.OK
    return _told(context, rows, places, waiter.wait(places, timeout_s=timeout_s), output)


def _produced(
    context: CommandContext, producer: EventProducer, events: list[dict[str, Any]], partition: int
) -> list[RecordId]:
    """Send everything; an embedded broker keeps so little that it gets the next lot when the last was consumed."""
    places: list[RecordId] = []
    lot = EMBEDDED_LOT if context.connection.embedded else max(1, len(events))
    for start in range(0, len(events), lot):
        gate = (
            Waiter(context.connection, context.topics, context.decode, partition=partition)
            if start + lot < len(events)
            else None
        )
        for event in events[start : start + lot]:
            producer.send(event["type"], event["data"], at_ms=event["at_ms"], event_id=event.get("id"))
        places += [RecordId(sent.topic, sent.partition, sent.offset) for sent in producer.flush()]
        if gate is not None and not gate.wait(places[-1:], timeout_s=WAIT_S):
            raise unreachable(f"{len(places)} events were sent; the embedded processor does not follow, so no more are")
    return places


def _told(
    context: CommandContext,
    rows: list[dict[str, Any]],
    places: list[RecordId],
    known: Mapping[Any, Any],
    output: Output,
) -> int:
    for row, place in zip(rows, places, strict=True):
        fate = known.get(place)
        row["outcome"] = fate.outcome if fate else "unknown"
        row["seq"] = fate.seq if fate else None
        row["code"] = fate.code if fate else ""
        row["message"] = fate.message if fate else ""
    emit_rows(rows, output, columns=("type", "topic", "offset", "outcome", "seq", "code", "message"), name="id")
    if len(known) < len(set(places)):
        why = _hidden_by(context, set(places) - set(known)) or "is a processor running?"
        raise unreachable(f"{len(set(places)) - len(known)} events have no outcome yet: {why}")
    refused = sum(fate.outcome in {"rejected", "dead_lettered"} for fate in known.values())
    if refused:
        note(f"{refused} of {len(places)} events were refused")
    return Exit.INVALID_DATA if refused else Exit.OK


def _hidden_by(context: CommandContext, places: set[RecordId]) -> str:
    """Return what keeps these events from every reader, empty: nothing does."""
    with OffsetReader(context.connection, group_of(context.settings)) as reader:
        marks = reader.watermarks(sorted({(place.topic, place.partition) for place in places}))
    return "; ".join(
        mark.opened.sentence(place, context.connection.bootstrap_servers)
        for place, mark in marks.items()
        if mark.opened is not None
    )


def _from_file(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            where = f"{path}:{number}"
            envelope = _json(line, where)
            unknown = set(envelope) - {"id", "type", "at_ms", "data"} if isinstance(envelope, dict) else {"no object"}
            if unknown or not isinstance(envelope.get("type"), str):
                raise invalid(f"{where}: an object with type and data is wanted, at_ms and id may stand there, too")
            yield _event(envelope["type"], envelope.get("at_ms"), envelope.get("data", {}), where) | _id_of(envelope)


def _id_of(envelope: Mapping[str, Any]) -> dict[str, str]:
    return {"id": str(envelope["id"])} if "id" in envelope else {}


def _event(type_: str | None, at_ms: Any, data: Any, where: str) -> dict[str, Any]:
    if at_ms is not None and (type(at_ms) is not int or not 0 < at_ms <= TIME_MS_MAX):
        raise invalid(f"{where}: at_ms is a number of ms since the epoch, from 1 to {TIME_MS_MAX}, not {at_ms!r:.40}")
    if not isinstance(data, dict):
        raise invalid(f"{where}: data is a JSON object")
    return {"type": type_, "at_ms": at_ms, "data": data, "where": where}


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{where}: no JSON: {error}") from error


def _text(path: Path) -> str:
    try:
        return decoded(input_of(path), str(path))
    except NotText as error:
        raise invalid(str(error)) from error

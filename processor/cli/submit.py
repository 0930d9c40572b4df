"""`submit`: sends events to the right topic and partition, and reports their outcomes."""

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
from processor.client.outcomes import EventOutcome, Waiter
from processor.cluster.event_parsing import InvalidEvent
from processor.cluster.events import EVENT_TYPES
from processor.engine.inputs import RecordId
from processor.kafka.offsets import OffsetReader, open_transactions
from processor.produce import EventProducer
from processor.runtime.files import NotText, decoded, input_of

WAIT_S = 30.0
EMBEDDED_CHUNK = 1000
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
    """Check events, produce them, and print where they went; with --wait the outcome of each.

    Nothing is produced unless all of them are valid. Exit 5 if one was refused, 3 if one has no outcome in time.
    """
    if type_ is not None:
        _check_type(type_)
    if (type_ is None) != (data is None) or (type_ is None) == (file is None):
        raise usage("give either TYPE with --data JSON, or --file FILE.jsonl")
    if file is not None:
        events = list(_events_in(file))
    else:
        events = [_event(type_, at_ms, _json(data or "", "--data"), "--data")]
    return _submit(CommandContext(config), events, cluster, timeout_s=timeout if wait else None, output=output)


def _check_type(type_: str) -> None:
    if type_ not in EVENT_TYPES:
        raise invalid(no_such_type(type_))


def _submit(
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
    waiter = None if timeout_s is None else _waiter(context, partition)
    with event_producer(
        context.connection, context.topics, encode, clusters=context.settings.clusters, cluster=cluster
    ) as producer:
        ids = _produce(context, producer, events, partition)
    rows = [
        {"type": event["type"], "topic": id_.topic, "partition": id_.partition, "offset": id_.offset, "id": str(id_)}
        for event, id_ in zip(events, ids, strict=True)
    ]
    if waiter is None or timeout_s is None:
        emit_rows(rows, output, columns=("type", "topic", "partition", "offset"), name="id")
        return Exit.OK
    return _report(context, rows, ids, waiter.wait(ids, timeout_s=timeout_s), output)


def _waiter(context: CommandContext, partition: int) -> Waiter:
    return Waiter(context.connection, context.topics, context.decode, partition=partition)


def _produce(
    context: CommandContext, producer: EventProducer, events: list[dict[str, Any]], partition: int
) -> list[RecordId]:
    """Send all events. An embedded broker keeps few records: it gets the next chunk once the last was consumed."""
    ids: list[RecordId] = []
    chunk = EMBEDDED_CHUNK if context.connection.embedded else max(1, len(events))
    for start in range(0, len(events), chunk):
        waiter = _waiter(context, partition) if start + chunk < len(events) else None
        for event in events[start : start + chunk]:
            producer.send(event["type"], event["data"], at_ms=event["at_ms"], event_id=event.get("id"))
        ids += [RecordId(sent.topic, sent.partition, sent.offset) for sent in producer.flush()]
        if waiter is not None and not waiter.wait(ids[-1:], timeout_s=WAIT_S):
            raise unreachable(f"stopped after {len(ids)} events: the embedded processor does not consume them")
    return ids


def _report(
    context: CommandContext,
    rows: list[dict[str, Any]],
    ids: list[RecordId],
    outcomes: Mapping[RecordId, EventOutcome],
    output: Output,
) -> int:
    for row, id_ in zip(rows, ids, strict=True):
        found = outcomes.get(id_)
        row["outcome"] = found.outcome if found else "unknown"
        row["seq"] = found.seq if found else None
        row["code"] = found.code if found else ""
        row["message"] = found.message if found else ""
    emit_rows(rows, output, columns=("type", "topic", "offset", "outcome", "seq", "code", "message"), name="id")
    missing = set(ids) - set(outcomes)
    if missing:
        why = _hidden_by(context, missing) or "is a processor running?"
        raise unreachable(f"{len(missing)} events have no outcome yet: {why}")
    refused = sum(found.outcome in {"rejected", "dead_lettered"} for found in outcomes.values())
    if refused:
        note(f"{refused} of {len(ids)} events were refused")
    return Exit.INVALID_DATA if refused else Exit.OK


def _hidden_by(context: CommandContext, ids: set[RecordId]) -> str:
    """Return the open transactions that hide these records from all readers, empty if there are none."""
    with OffsetReader(context.connection, group_of(context.settings)) as reader:
        offsets = reader.watermarks(sorted({(id_.topic, id_.partition) for id_ in ids}))
    return "; ".join(open_transactions(offsets, context.connection.bootstrap_servers))


def _events_in(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            where = f"{path}:{number}"
            envelope = _json(line, where)
            unknown = set(envelope) - {"id", "type", "at_ms", "data"} if isinstance(envelope, dict) else {"no object"}
            if unknown or not isinstance(envelope.get("type"), str):
                raise invalid(f"{where}: expected an object with type and data, optionally at_ms and id")
            yield _event(envelope["type"], envelope.get("at_ms"), envelope.get("data", {}), where) | _id_of(envelope)


def _id_of(envelope: Mapping[str, Any]) -> dict[str, str]:
    return {"id": str(envelope["id"])} if "id" in envelope else {}


def _event(type_: str | None, at_ms: Any, data: Any, where: str) -> dict[str, Any]:
    if at_ms is not None and (type(at_ms) is not int or not 0 < at_ms <= TIME_MS_MAX):
        raise invalid(f"{where}: at_ms must be ms since the epoch, from 1 to {TIME_MS_MAX}, not {at_ms!r:.40}")
    if not isinstance(data, dict):
        raise invalid(f"{where}: data must be a JSON object")
    return {"type": type_, "at_ms": at_ms, "data": data, "where": where}


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{where}: invalid JSON: {error}") from error


def _text(path: Path) -> str:
    try:
        return decoded(input_of(path), str(path))
    except NotText as error:
        raise invalid(str(error)) from error

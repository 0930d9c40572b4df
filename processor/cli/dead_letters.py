"""`dead-letters list|show|retry`: records that could not be processed, with their original bytes, and resubmission."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.admin.dead_letters import Letter, Lost, letter_of, resubmission
from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import ClusterName, ConfigFile, Count, Execute, Output
from processor.cli.output import emit_document, emit_rows, note
from processor.cli.plans import note_plan, nothing_to_do
from processor.cli.records import time_of
from processor.engine.inputs import Record
from processor.engine.outputs import (
    DEAD_LETTER_OFFSET,
    DEAD_LETTER_PARTITION,
    DEAD_LETTER_PREFIX,
    DEAD_LETTER_TOPIC,
    OUR_PREFIXES,
    PROCESSOR_SEQ,
)
from processor.kafka.produce import RecordProducer

LAST = 20
SENT_MAX = 100
"""Records in flight: so many are sent before their deliveries are awaited."""

Selection = dict[str, tuple[int, int]]
"""Id of a dead letter → partition and offset of its last record."""


app = App(name="dead-letters")


@app.command(name="list")
def list_(
    *,
    count: Count = LAST,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """List dead letters, the newest last."""
    context = CommandContext(config)
    with context.reader(context.topics["dead-letters"], _partitions(context, cluster)) as reader:
        rows = [row_of(record) for record in reader.last(count)]
    emit_rows(rows, output, columns=("id", "code", "at", "seq", "bytes", "message"), name="id")


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID", help="TOPIC-PARTITION-OFFSET of the original record.")],
    *,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print one dead letter: reason, origin, headers, and bytes as text and as hex."""
    context = CommandContext(config)
    id_ = context.record_named(id_)
    records = _records(context, _partitions(context, cluster))
    found = next((record for record in records if id_of(record) == id_), None)
    if found is None:
        raise CommandError(f"there is no dead letter {id_}", Exit.DIFFERS)
    emit_document({**row_of(found), **_original(found)}, output, name=id_of(found))


@app.command
def retry(
    *ids: Annotated[str, Parameter(name="ID", help="TOPIC-PARTITION-OFFSET of the original record.")],
    all_: Annotated[bool, Parameter(name="--all", negative="", help="All dead letters.")] = False,
    code: Annotated[str | None, Parameter(help="All with this code.")] = None,
    cluster: ClusterName = None,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Submit dead letters again after a fix: with the original key, value, headers and time, to the original topic.

    A dead letter stays in its topic, so retrying it twice submits it twice. The value of one that was too large is read
    from its original offset, if it is still there. Exit 1 if some cannot be submitted.
    """
    if sum((bool(ids), all_, code is not None)) != 1:
        raise usage("which ones? ID..., or --all, or --code CODE")
    context = CommandContext(config)
    partitions, named = _partitions(context, cluster), frozenset(map(context.record_named, ids))
    selected = _select(context, partitions, ids=named, code=code)
    if missing := named - selected.keys():
        raise CommandError(f"there is no dead letter {', '.join(sorted(missing))}", Exit.DIFFERS)
    if not selected:
        raise nothing_to_do("no dead letter matches")
    rows = list(_resubmit(context, partitions, selected, execute=execute))
    emit_rows(rows, output, columns=("id", "code", "bytes", "problem", "sent_to"), name="id")
    note_plan(done=execute)
    lost = sum(1 for row in rows if row["problem"])
    if lost:
        note(f"{lost} of {len(rows)} cannot be submitted again")
    return Exit.DIFFERS if lost else Exit.OK


def row_of(record: Record) -> dict[str, Any]:
    """Return the headers of a dead letter as one row."""
    facts = {
        name.removeprefix(DEAD_LETTER_PREFIX): _text(value)
        for name, value in record.headers
        if name.startswith(OUR_PREFIXES)
    }
    return {
        "id": id_of(record),
        "code": facts.get("code", ""),
        "message": facts.get("message", ""),
        "exception": facts.get("exception", ""),
        "topic": facts.get("topic", ""),
        "partition": _number(facts.get("partition")),
        "offset": _number(facts.get("offset")),
        "timestamp_ms": _number(facts.get("timestamp")),
        "at": time_of(_number(facts.get("timestamp"))),
        "seq": _number(facts.get(PROCESSOR_SEQ)),
        "bytes": len(record.value or b""),
    }


def id_of(record: Record) -> str:
    """Return `<topic>-<partition>-<offset>` of the original record."""
    headers = dict(record.headers)
    return "-".join(_text(headers.get(name)) for name in (DEAD_LETTER_TOPIC, DEAD_LETTER_PARTITION, DEAD_LETTER_OFFSET))


def _letters(context: CommandContext, partitions: tuple[int, ...] | None) -> Iterator[tuple[Record, Letter]]:
    for record in _records(context, partitions):
        letter = letter_of(record)
        if letter is not None:
            yield record, letter


def _records(context: CommandContext, partitions: tuple[int, ...] | None) -> Iterator[Record]:
    with context.reader(context.topics["dead-letters"], partitions) as reader:
        yield from reader.until_end({partition: marks.low for partition, marks in reader.watermarks().items()})


def _select(
    context: CommandContext, partitions: tuple[int, ...] | None, *, ids: frozenset[str], code: str | None
) -> Selection:
    """Return the selected dead letters; of several with the same id, the last."""
    return {
        letter.id: (record.partition, record.offset)
        for record, letter in _letters(context, partitions)
        if (not ids or letter.id in ids) and code in {None, letter.code}
    }


def _resubmit(
    context: CommandContext, partitions: tuple[int, ...] | None, selected: Selection, *, execute: bool
) -> Iterator[dict[str, Any]]:
    """Yield one row per dead letter, resubmitted if `execute`. Holds at most `SENT_MAX` values in memory."""
    inputs = frozenset((context.topics["high"], context.topics["normal"]))
    with ExitStack() as stack:
        producer = stack.enter_context(RecordProducer(context.connection)) if execute else None
        waiting: list[dict[str, Any]] = []
        for record, letter in _letters(context, partitions):
            if selected.get(letter.id) != (record.partition, record.offset):
                continue
            again = resubmission(letter, inputs, lambda *place: _record_at(context, *place))
            row: dict[str, Any] = {"id": letter.id, "code": letter.code, "problem": "", "sent_to": None}
            if isinstance(again, Lost):
                yield {**row, "bytes": len(letter.value or b""), "problem": again.reason}
                continue
            row["bytes"] = len(again.value or b"")
            if producer is None:
                yield row
                continue
            producer.send_record(again)
            waiting.append(row)
            if len(waiting) == SENT_MAX:
                yield from _sent(producer, waiting)
                waiting = []
        if producer is not None:
            yield from _sent(producer, waiting)


def _sent(producer: RecordProducer, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row, sent in zip(rows, producer.flush(), strict=True):
        yield {**row, "sent_to": f"{sent.topic}-{sent.partition}-{sent.offset}"}


def _record_at(context: CommandContext, topic: str, partition: int, offset: int) -> Record | None:
    """Return the record at an offset, None if it is gone."""
    with context.reader(topic, (partition,)) as reader:
        marks = reader.watermarks()[partition]
        record = reader.at(partition, offset) if marks.low <= offset < marks.high else None
    return record if record is not None and record.offset == offset else None


def _original(record: Record) -> dict[str, Any]:
    value = record.value or b""
    return {
        "key": _text(record.key),
        "headers": {name: _text(content) for name, content in record.headers if not name.startswith(OUR_PREFIXES)},
        "hex": value.hex(),
        "text": value.decode("utf-8", errors="backslashreplace"),
    }


def _partitions(context: CommandContext, cluster: str | None) -> tuple[int, ...] | None:
    return None if cluster is None else (context.partition_of(cluster),)


def _number(text: str | None) -> int:
    return int(text) if text else -1


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", errors="backslashreplace")

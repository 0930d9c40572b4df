"""`offsets show|reset`: how far the shards have read, and moving that."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.admin.offset_reset import (
    Reset,
    ShiftBy,
    ToEnd,
    ToOffset,
    ToOffsets,
    ToTime,
    duration_of,
    offsets_in,
    place_words,
    targets_of,
    time_ms_of,
)
from processor.admin.session import operator
from processor.admin.shards import ShardView, shard_views
from processor.assembly.connections import group_of
from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ConfigFile, Execute, Output, within
from processor.cli.output import emit_rows, note
from processor.cli.plans import check_servers, note_plan, nothing_to_do
from processor.cli.points import read_as
from processor.engine.inputs import LaneName, TopicFacts, TopicPartition
from processor.engine.operator.moving import Move, move, plan_move
from processor.engine.operator.transaction import known_head
from processor.engine.positions import reached
from processor.engine.values import Head
from processor.kafka.offsets import OffsetReader, PartitionOffsets

SHOWN = (
    "shard",
    "lane",
    "topic",
    "partition",
    "position",
    "group_offset",
    "low",
    "end",
    "high_watermark",
    "lag",
    "oldest_waiting_s",
)
MOVED = ("shard", "topic", "partition", "from", "to", "records")
LANES: tuple[LaneName, ...] = ("high", "normal")

Topics = Annotated[
    tuple[str, ...],
    Parameter(
        name="--topic",
        negative="",
        help="T or T:0,1: a topic by its name or role, some of its partitions; may be repeated.",
    ),
]


app = App(name="offsets")


@app.command
def show(*, config: ConfigFile = None, output: Output = "table") -> None:
    """Print each shard's positions in its inputs, how much waits there and since when.

    The position is the store's. Beside it stands what the consumer group says, which follows it for lag tools. The end
    is the last stable offset: what an open transaction hides from there to the high watermark waits, too.
    """
    context = CommandContext(config)
    check_servers(context)
    with context.store() as client:
        views = shard_views(client, context.settings)
    places = [(context.topics[lane], view.shard) for view in views for lane in LANES]
    with OffsetReader(context.connection, group_of(context.settings)) as reader:
        marks, committed = reader.watermarks(places), reader.committed(places)
    rows = [_row(context, view, lane, marks[context.topics[lane], view.shard]) for view in views for lane in LANES]
    for row in rows:
        row["group_offset"] = committed[row["topic"], row["partition"]]
    emit_rows(rows, output, columns=SHOWN, name="topic")
    for place, mark in marks.items():
        if mark.opened is not None:
            note(mark.opened.sentence(place, context.connection.bootstrap_servers))


@app.command
def reset(  # noqa: PLR0913 - the vocabulary of Kafka's own tool, one option a word
    *,
    topic: Topics = (),
    all_topics: Annotated[bool, Parameter(negative="", help="Both inputs, all partitions.")] = False,
    to_earliest: Annotated[bool, Parameter(negative="", help="To the first offset that is there.")] = False,
    to_latest: Annotated[bool, Parameter(negative="", help="To the end: what waits is never read.")] = False,
    to_offset: Annotated[int | None, Parameter(help="To this offset."), within(0, NUMBER_MAX)] = None,
    to_datetime: Annotated[str | None, Parameter(help="To the first record since, like 2026-11-25T07:00:00Z.")] = None,
    by_duration: Annotated[str | None, Parameter(help="To the first record since so long ago, like PT15M.")] = None,
    shift_by: Annotated[
        int | None,
        Parameter(help="So many offsets on, or back when negative."),
        within(-NUMBER_MAX, NUMBER_MAX),
    ] = None,
    from_file: Annotated[
        Path | None, Parameter(help="To the offsets in a file of lines topic,partition,offset.")
    ] = None,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Move positions, with the words of kafka-consumer-groups: to read records again, or to pass them by.

    Stop the processors first. Each shard's move is a commit of kind gap, in which what is read again can be seen.
    An offset outside of what a partition holds is moved to the nearest one inside.
    """
    context = CommandContext(config)
    wanted = _wanted(
        context,
        {
            "--to-earliest": to_earliest or None,
            "--to-latest": to_latest or None,
            "--to-offset": to_offset,
            "--to-datetime": to_datetime,
            "--by-duration": by_duration,
            "--shift-by": shift_by,
            "--from-file": from_file,
        },
    )
    places = _places(context, topic, wanted, all_topics=all_topics)
    check_servers(context)
    rows = _moved(context, wanted, places, execute=execute)
    if not rows:
        raise nothing_to_do("all positions are there already")
    emit_rows(rows, output, columns=MOVED, name="topic")
    note_plan(done=execute)
    return Exit.OK


def _row(context: CommandContext, view: ShardView, lane: Any, marks: PartitionOffsets) -> dict[str, Any]:
    topic = context.topics[lane]
    head = view.head
    kept = None if head is None else head.positions.get(topic, {}).get(view.shard)
    position = marks.low if head is None or kept is None else reached(head)[topic][view.shard]
    opened = marks.opened
    waiting_ms = None if opened is None or opened.since_ms < 0 else opened.since_ms
    if marks.low <= position < marks.stable:
        waiting_ms = _oldest_ms(context, topic, view.shard, position)
    return {
        "shard": view.shard,
        "cluster": view.cluster,
        "lane": lane,
        "topic": topic,
        "partition": view.shard,
        "position": kept,
        "group_offset": None,
        "low": marks.low,
        "end": marks.stable,
        "high_watermark": marks.high,
        "lag": max(0, marks.high - position),
        "oldest_waiting_ms": waiting_ms,
        "hidden": 0 if opened is None else opened.hidden,
        "open_since_ms": None if opened is None else opened.since_ms,
        "oldest_waiting_s": None if waiting_ms is None else round(time.time() - waiting_ms / 1000, 1),
    }


def _oldest_ms(context: CommandContext, topic: str, partition: int, position: int) -> int | None:
    with context.reader(topic, (partition,)) as reader:
        record = reader.at(partition, position)
    return None if record is None or record.timestamp_ms < 0 else record.timestamp_ms


def _wanted(context: CommandContext, words: dict[str, Any]) -> Reset:
    said = {word: value for word, value in words.items() if value is not None}
    if len(said) > 1:
        raise usage(f"{' and '.join(said)} are given: one target at a time")
    if not said:
        raise usage(f"where to? One of {', '.join(words)}")
    ((word, value),) = said.items()
    match word:
        case "--to-earliest" | "--to-latest":
            return ToEnd("earliest" if word == "--to-earliest" else "latest")
        case "--to-offset":
            return ToOffset(value)
        case "--to-datetime":
            return ToTime(read_as(word, time_ms_of, value))
        case "--by-duration":
            ago_s = read_as(word, duration_of, value).total_seconds()
            return ToTime(max(0, int((time.time() - ago_s) * 1000)))
        case "--shift-by":
            return ShiftBy(value)
        case _:
            offsets = offsets_in(value)
            return ToOffsets({(context.topic_named(topic), part): offset for (topic, part), offset in offsets.items()})


def _places(context: CommandContext, words: Iterable[str], wanted: Reset, *, all_topics: bool) -> list[TopicPartition]:
    """Return the partitions that are meant, all of which are inputs."""
    everywhere = tuple(range(len(context.settings.clusters)))
    named = [read_as("--topic", place_words, word) for word in words]
    if isinstance(wanted, ToOffsets):
        if named or all_topics:
            raise usage("--from-file says which partitions: leave out --topic and --all-topics")
        places = list(wanted.offsets)
    elif bool(named) == all_topics:
        raise usage("which topics? --topic T[:P,P], or --all-topics")
    elif all_topics:
        places = [(context.topics[lane], partition) for lane in LANES for partition in everywhere]
    else:
        places = [(context.topic_named(topic), one) for topic, some in named for one in (some or everywhere)]
    inputs = {context.topics["high"], context.topics["normal"]}
    for topic, partition in places:
        if topic not in inputs or partition not in everywhere:
            word = "--from-file" if isinstance(wanted, ToOffsets) else "--topic"
            listed = " and ".join(sorted(inputs))
            raise usage(
                f"{word}: {topic}[{partition}] is no input: there are partitions 0 to {everywhere[-1]} of {listed}"
            )
    return sorted(set(places), key=lambda place: (place[1], place[0]))


def _moved(
    context: CommandContext, wanted: Reset, places: list[TopicPartition], *, execute: bool
) -> list[dict[str, Any]]:
    """Plan and do it shard by shard; nothing is done when one of them is owned."""
    shards = sorted({partition for _, partition in places})
    with context.store() as client:
        owned = [view for view in shard_views(client, context.settings) if view.owner and view.shard in shards]
    if execute and owned:
        owners = ", ".join(f"shard {view.shard} is owned by {view.owner.instance}" for view in owned if view.owner)
        raise CommandError(f"{owners}: stop the processors first; nothing was moved", Exit.CONFLICT)
    at: dict[Any, int | None] = dict.fromkeys(places)
    if isinstance(wanted, ToTime):
        with OffsetReader(context.connection, group_of(context.settings)) as reader:
            at = reader.at(places, wanted.at_ms)
    rows: list[dict[str, Any]] = []
    for shard in shards:
        mine = {place: offset for place, offset in at.items() if place[1] == shard}
        rows += _moved_shard(context, shard, wanted, mine, execute=execute)
    return rows


def _moved_shard(
    context: CommandContext, shard: int, wanted: Reset, places: dict[TopicPartition, int | None], *, execute: bool
) -> list[dict[str, Any]]:
    def plan(head: Head, facts: TopicFacts) -> Move:
        return plan_move(head, facts, targets_of(wanted, head, facts, places), topics={topic for topic, _ in places})

    with context.offline(shard) as parts:
        if execute:
            planned = move(parts, plan, action="offsets-reset", by=operator())
        else:
            planned = plan(known_head(parts, parts.store.load()), parts.source.facts())
    moved = {(item.topic, item.partition): (item.start, item.end) for item in planned.ranges}
    stayed = {place: planned.head.positions.get(place[0], {}).get(place[1], 0) for place in places}
    return [
        {
            "shard": shard,
            "topic": topic,
            "partition": partition,
            "from": start,
            "to": end,
            "records": end - start,
            "made_anew": topic in planned.topics,
            "done": execute,
        }
        for (topic, partition), stay in sorted(stayed.items())
        for start, end in (moved.get((topic, partition), (stay, stay)),)
        if start != end or topic in planned.topics
    ]

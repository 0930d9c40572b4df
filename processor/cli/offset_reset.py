"""`offsets reset`: moves the positions of shards that no processor owns."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

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
from processor.admin.shards import shard_views
from processor.assembly.connections import group_of
from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ConfigFile, Execute, Output, within
from processor.cli.output import emit_rows
from processor.cli.plans import check_servers, note_plan, nothing_to_do
from processor.cli.points import read_as
from processor.engine.inputs import LaneName, TopicFacts, TopicPartition
from processor.engine.operator.moving import Move, move, plan_move
from processor.engine.operator.transaction import known_head
from processor.engine.values import Head
from processor.kafka.offsets import OffsetReader

COLUMNS = ("shard", "topic", "partition", "from", "to", "records")
LANES: tuple[LaneName, ...] = ("high", "normal")

Topics = Annotated[
    tuple[str, ...],
    Parameter(
        name="--topic",
        negative="",
        help="T or T:0,1: a topic by its name or role, some of its partitions; may be repeated.",
    ),
]
ShiftByCount = Annotated[
    int | None,
    Parameter(name="--shift-by", help="Forward by this many offsets, back if negative."),
    within(-NUMBER_MAX, NUMBER_MAX),
]


def reset(  # noqa: PLR0913 - the vocabulary of Kafka's own tool, one option a word
    *,
    topic: Topics = (),
    all_topics: Annotated[bool, Parameter(negative="", help="Both inputs, all partitions.")] = False,
    to_earliest: Annotated[bool, Parameter(negative="", help="To the first available offset.")] = False,
    to_latest: Annotated[bool, Parameter(negative="", help="To the end: waiting records are never read.")] = False,
    to_offset: Annotated[int | None, Parameter(help="To this offset."), within(0, NUMBER_MAX)] = None,
    to_datetime: Annotated[str | None, Parameter(help="To the first record since, like 2026-11-25T07:00:00Z.")] = None,
    by_duration: Annotated[str | None, Parameter(help="To the first record of the last, for example, PT15M.")] = None,
    shift_by: ShiftByCount = None,
    from_file: Annotated[
        Path | None, Parameter(help="To the offsets in a file of lines topic,partition,offset.")
    ] = None,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Move positions, with the options of kafka-consumer-groups: to read records again, or to skip them.

    Stop the processors first. The move of each shard becomes a commit of kind gap, which shows what is read again.
    An offset outside the range of a partition is clamped to it.
    """
    context = CommandContext(config)
    target = _target(
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
    partitions = _partitions(context, topic, target, all_topics=all_topics)
    check_servers(context)
    rows = _move_shards(context, target, partitions, execute=execute)
    if not rows:
        raise nothing_to_do("all positions are there already")
    emit_rows(rows, output, columns=COLUMNS, name="topic")
    note_plan(done=execute)
    return Exit.OK


def _target(context: CommandContext, words: dict[str, Any]) -> Reset:
    given = {word: value for word, value in words.items() if value is not None}
    if len(given) > 1:
        raise usage(f"{' and '.join(given)} are given: one target at a time")
    if not given:
        raise usage(f"where to? One of {', '.join(words)}")
    ((word, value),) = given.items()
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


def _partitions(
    context: CommandContext, words: Iterable[str], target: Reset, *, all_topics: bool
) -> list[TopicPartition]:
    """Return the selected partitions. Raises CommandError if one is no partition of an input."""
    everywhere = tuple(range(len(context.settings.clusters)))
    named = [read_as("--topic", place_words, word) for word in words]
    if isinstance(target, ToOffsets):
        if named or all_topics:
            raise usage("--from-file says which partitions: leave out --topic and --all-topics")
        partitions = list(target.offsets)
    elif bool(named) == all_topics:
        raise usage("which topics? --topic T[:P,P], or --all-topics")
    elif all_topics:
        partitions = [(context.topics[lane], partition) for lane in LANES for partition in everywhere]
    else:
        partitions = [(context.topic_named(topic), one) for topic, some in named for one in (some or everywhere)]
    inputs = {context.topics["high"], context.topics["normal"]}
    for topic, partition in partitions:
        if topic not in inputs or partition not in everywhere:
            word = "--from-file" if isinstance(target, ToOffsets) else "--topic"
            listed = " and ".join(sorted(inputs))
            raise usage(
                f"{word}: {topic}[{partition}] is no input: there are partitions 0 to {everywhere[-1]} of {listed}"
            )
    return sorted(set(partitions), key=lambda place: (place[1], place[0]))


def _move_shards(
    context: CommandContext, target: Reset, partitions: list[TopicPartition], *, execute: bool
) -> list[dict[str, Any]]:
    """Plan or move shard by shard; raises CommandError before any move if a shard is owned."""
    shards = sorted({partition for _, partition in partitions})
    with context.store() as client:
        owned = [view for view in shard_views(client, context.settings) if view.owner and view.shard in shards]
    if execute and owned:
        owners = ", ".join(f"shard {view.shard} is owned by {view.owner.instance}" for view in owned if view.owner)
        raise CommandError(f"{owners}: stop the processors first; nothing was moved", Exit.CONFLICT)
    at: dict[Any, int | None] = dict.fromkeys(partitions)
    if isinstance(target, ToTime):
        with OffsetReader(context.connection, group_of(context.settings)) as reader:
            at = reader.at(partitions, target.at_ms)
    rows: list[dict[str, Any]] = []
    for shard in shards:
        own = {place: offset for place, offset in at.items() if place[1] == shard}
        rows += _move_shard(context, shard, target, own, execute=execute)
    return rows


def _move_shard(
    context: CommandContext, shard: int, target: Reset, partitions: dict[TopicPartition, int | None], *, execute: bool
) -> list[dict[str, Any]]:
    def plan(head: Head, facts: TopicFacts) -> Move:
        return plan_move(
            head, facts, targets_of(target, head, facts, partitions), topics={topic for topic, _ in partitions}
        )

    with context.offline(shard) as parts:
        if execute:
            planned = move(parts, plan, action="offsets-reset", by=operator())
        else:
            planned = plan(known_head(parts, parts.store.load()), parts.source.facts())
    moved = {(item.topic, item.partition): (item.start, item.end) for item in planned.ranges}
    positions = {place: planned.head.positions.get(place[0], {}).get(place[1], 0) for place in partitions}
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
        for (topic, partition), position in sorted(positions.items())
        for start, end in (moved.get((topic, partition), (position, position)),)
        if start != end or topic in planned.topics
    ]

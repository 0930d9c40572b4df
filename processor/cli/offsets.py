"""`offsets show|reset`: the positions of the shards in their inputs; `reset` is in offset_reset."""

from typing import Any

from cyclopts import App

from processor.admin.shards import ShardView, shard_views
from processor.assembly.connections import group_of
from processor.cli.context import CommandContext
from processor.cli.offset_reset import LANES, reset
from processor.cli.options import ConfigFile, Output
from processor.cli.output import emit_rows, note
from processor.cli.plans import check_servers
from processor.cli.records import seconds_since
from processor.engine.inputs import LaneName
from processor.engine.positions import reached
from processor.kafka.offsets import OffsetReader, PartitionOffsets, open_transactions

COLUMNS = (
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

app = App(name="offsets")


@app.command
def show(*, config: ConfigFile = None, output: Output = "table") -> None:
    """Print each shard's positions in its inputs, how many records wait there and since when.

    The position is the store's; the offset of the consumer group follows it, for lag tools. The end is the last stable
    offset: records that an open transaction hides from there to the high watermark wait, too.
    """
    context = CommandContext(config)
    check_servers(context)
    with context.store() as client:
        views = shard_views(client, context.settings)
    places = [(context.topics[lane], view.shard) for view in views for lane in LANES]
    with OffsetReader(context.connection, group_of(context.settings)) as reader:
        offsets, committed = reader.watermarks(places), reader.committed(places)
    rows = [_row(context, view, lane, offsets[context.topics[lane], view.shard]) for view in views for lane in LANES]
    for row in rows:
        row["group_offset"] = committed[row["topic"], row["partition"]]
    emit_rows(rows, output, columns=COLUMNS, name="topic")
    for sentence in open_transactions(offsets, context.connection.bootstrap_servers):
        note(sentence)


def _row(context: CommandContext, view: ShardView, lane: LaneName, offsets: PartitionOffsets) -> dict[str, Any]:
    topic = context.topics[lane]
    head = view.head
    kept = None if head is None else head.positions.get(topic, {}).get(view.shard)
    position = offsets.low if head is None or kept is None else reached(head)[topic][view.shard]
    opened = offsets.opened
    waiting_ms = None if opened is None or opened.since_ms < 0 else opened.since_ms
    if offsets.low <= position < offsets.stable:
        waiting_ms = _oldest_ms(context, topic, view.shard, position)
    return {
        "shard": view.shard,
        "cluster": view.cluster,
        "lane": lane,
        "topic": topic,
        "partition": view.shard,
        "position": kept,
        "group_offset": None,
        "low": offsets.low,
        "end": offsets.stable,
        "high_watermark": offsets.high,
        "lag": max(0, offsets.high - position),
        "oldest_waiting_ms": waiting_ms,
        "hidden": 0 if opened is None else opened.hidden,
        "open_since_ms": None if opened is None else opened.since_ms,
        "oldest_waiting_s": None if waiting_ms is None else seconds_since(waiting_ms),
    }


def _oldest_ms(context: CommandContext, topic: str, partition: int, position: int) -> int | None:
    with context.reader(topic, (partition,)) as reader:
        record = reader.at(partition, position)
    return None if record is None or record.timestamp_ms < 0 else record.timestamp_ms


app.command(reset)

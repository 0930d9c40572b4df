"""Keep the cluster's entities in a SQLite table that follows the announcements, each applied exactly once.

    python examples/materialised_view.py --bootstrap 127.0.0.1:9092 --database cluster.sqlite
    sqlite3 cluster.sqlite "select name, value ->> 'route_revision' from entities where kind = 'model'"

One transaction holds the rows that a batch of announcements changed and how far the table is: the number of the last
announcement and the next offset, a shard. So it does not matter when this program is killed: it goes on behind what
the table holds. Announcements that are missing end it: rows built around a gap would be wrong. A new table needs the
first announcement there ever was, or a snapshot to begin with, where the topic keeps records for a limited time only:

    processor state export cluster.snapshot
    python examples/materialised_view.py --snapshot cluster.snapshot
"""

import argparse
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from processor.avro.records import RecordCodec
from processor.configuration.topics import load_topics
from processor.consume import (
    NONE_YET,
    AnnouncementReader,
    Catalogue,
    KafkaConnection,
    Received,
    Retry,
    ShardRefused,
    announcement_reader,
)
from processor.replay.snapshots import Snapshot, read_snapshot

PROJECT = Path(__file__).resolve().parent.parent
POLL_TIMEOUT_S = 1.0
TABLES = """
create table if not exists entities (
  shard integer, kind text, name text, value text not null, primary key (shard, kind, name)
) without rowid;
create table if not exists progress (shard integer primary key, number integer not null, next_offset integer)
"""


class View:
    """The table. `connection` must not manage transactions itself: `isolation_level=None`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.executescript(TABLES)

    def numbers(self) -> dict[int, int]:
        """Return shard → number of the last announcement that the table holds."""
        return dict(self._connection.execute("select shard, number from progress"))

    def positions(self) -> dict[int, int]:
        """Return shard → offset of the next announcement, for the shards where it is known."""
        return dict(self._connection.execute("select shard, next_offset from progress where next_offset is not null"))

    def begin_with(self, snapshot: Snapshot, codec: RecordCodec) -> None:
        """Fill the table with a shard's snapshot, unless it holds data of the shard already."""
        with self._connection:
            self._connection.execute("begin immediate")
            if snapshot.shard in self.numbers():
                return
            for key, value in snapshot.entities:
                self._put(snapshot.shard, key, codec.decode_record(value)[1])
            place = (snapshot.shard, snapshot.head.announcements - 1, None)
            self._connection.execute("insert into progress values (?, ?, ?)", place)

    def apply(self, batch: Sequence[Received]) -> None:
        """Apply announcements and store the position, atomically. Raises ShardRefused, sqlite3.Error."""
        with self._connection:  # commits the transaction, or rolls it back
            self._connection.execute("begin immediate")
            for received in batch:
                self._apply(received)

    def _apply(self, received: Received) -> None:
        shard, decoded = received.record.partition, received.value
        if decoded.error:
            raise ShardRefused(f"announcement {received.number} of shard {shard} cannot be read: {decoded.error}")
        self._move_on(shard, received)
        if not decoded.type.endswith("Changed"):
            return
        if decoded.value["after"] is None and decoded.value["op"] != "d":
            raise ShardRefused(
                f"announcement {received.number} of shard {shard}: {decoded.key} was too large to be announced. Raise "
                "the topic's max.message.bytes, then fill a new table from processor state export"
            )
        self._put(shard, decoded.key, decoded.value["after"])

    def _put(self, shard: int, key: str, entity: Mapping[str, Any] | None) -> None:
        kind, _, name = key.partition("/")
        if entity is None:
            self._connection.execute(
                "delete from entities where shard = ? and kind = ? and name = ?", (shard, kind, name)
            )
        else:
            self._connection.execute(
                "insert or replace into entities values (?, ?, ?, ?)", (shard, kind, name, json.dumps(entity))
            )

    def _move_on(self, shard: int, received: Received) -> None:
        """Note the announcement as applied, which must be the next one: another process may write the same table."""
        last = self.numbers().get(shard, NONE_YET)
        if received.number != last + 1:
            raise ShardRefused(f"the table is at announcement {last} of shard {shard}: who else writes it?")
        place = (shard, received.number, received.record.offset + 1)
        self._connection.execute("insert or replace into progress values (?, ?, ?)", place)


def batches(reader: AnnouncementReader, batch_max: int) -> Iterator[list[Received]]:
    """Yield what is there, at most `batch_max` announcements at a time, for ever. Raises what the reader raises."""
    while True:
        batch: list[Received] = []
        received = poll(reader, POLL_TIMEOUT_S)
        while received is not None:
            batch.append(received)
            received = poll(reader, 0) if len(batch) < batch_max else None
        if batch:
            yield batch


def poll(reader: AnnouncementReader, timeout_s: float) -> Received | None:
    """Return the next announcement, None when there is none yet; brokers that are away come back."""
    try:
        return reader.poll(timeout_s)
    except Retry as away:
        print(away, file=sys.stderr)
        return None


def follow(connection: sqlite3.Connection, arguments: argparse.Namespace) -> None:
    """Follow the shards into the table, for ever. Raises ShardRefused when that cannot go on."""
    view, catalogue = View(connection), Catalogue.load(PROJECT / "schemas")
    for path in arguments.snapshot:
        view.begin_with(read_snapshot(path), RecordCodec(catalogue))
    topics = load_topics(arguments.topics).by_role
    with announcement_reader(
        KafkaConnection(arguments.bootstrap),
        topics["changes"].name,
        catalogue,
        partitions=arguments.shards,
        from_=view.positions(),
        # a table that holds nothing needs the first announcement, number 0
        numbers=dict.fromkeys(arguments.shards, NONE_YET) | view.numbers(),
        gaps="raise",
    ) as reader:
        for batch in batches(reader, arguments.batch):
            view.apply(batch)


def parse(texts: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka, host:port")
    parser.add_argument("--topics", type=Path, default=PROJECT / "topics.yaml")
    parser.add_argument("--database", type=Path, default=Path("cluster.sqlite"))
    parser.add_argument("--shards", type=int, nargs="+", default=[0], help="partitions of the changes topic")
    parser.add_argument(
        "--snapshot", type=Path, nargs="+", default=[], help="what a new table begins with, a file a shard"
    )
    parser.add_argument("--batch", type=int, default=500, help="announcements a transaction, at most")
    return parser.parse_args(texts)


if __name__ == "__main__":
    chosen = parse(sys.argv[1:])
    try:
        follow(sqlite3.connect(chosen.database, isolation_level=None), chosen)
    except ShardRefused as refusal:
        sys.exit(f"{refusal}\nBuild the table anew: remove {chosen.database}, and begin with a --snapshot.")
    except KeyboardInterrupt:
        pass

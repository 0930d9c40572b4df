"""Keep the cluster's entities in a SQLite table that follows the announcements, each applied exactly once.

    python examples/materialised_view.py --bootstrap 127.0.0.1:9092 --database cluster.sqlite
    sqlite3 cluster.sqlite "select name, value ->> 'route_revision' from entities where kind = 'model'"

One transaction holds the rows that a batch of announcements changed and how far the table is: the number of the last
announcement and the next offset, a shard. So it does not matter when this program is killed: it goes on behind what
the table holds. Announcements that are missing end it: rows built around a gap would be wrong.
"""

import argparse
import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

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
from processor.topics import load_topics

PROJECT = Path(__file__).resolve().parent.parent
POLL_TIMEOUT_S = 1.0
TABLES = """
create table if not exists entities (
  shard integer, kind text, name text, value text not null, primary key (shard, kind, name)
) without rowid;
create table if not exists progress (shard integer primary key, number integer not null, next_offset integer not null)
"""


class View:
    """The table. `connection` must leave transactions to us: `isolation_level=None`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.executescript(TABLES)

    def numbers(self) -> dict[int, int]:
        """Return shard → number of the last announcement that the table holds."""
        return dict(self._connection.execute("select shard, number from progress"))

    def positions(self) -> dict[int, int]:
        """Return shard → offset of the next announcement."""
        return dict(self._connection.execute("select shard, next_offset from progress"))

    def apply(self, batch: Sequence[Received]) -> None:
        """Apply announcements and note how far the table is, both or neither. Raises ShardRefused, sqlite3.Error."""
        with self._connection:  # commits what was begun, or rolls it back
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
        kind, _, name = decoded.key.partition("/")
        after = decoded.value["after"]
        if after is None:
            self._connection.execute(
                "delete from entities where shard = ? and kind = ? and name = ?", (shard, kind, name)
            )
        else:
            self._connection.execute(
                "insert or replace into entities values (?, ?, ?, ?)", (shard, kind, name, json.dumps(after))
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
    view = View(connection)
    topics = load_topics(arguments.topics).by_role
    with announcement_reader(
        KafkaConnection(arguments.bootstrap),
        topics["changes"].name,
        Catalogue.load(PROJECT / "schemas"),
        partitions=arguments.shards,
        from_=view.positions(),
        # a table without any row was built from nothing: it needs the first announcement, number 0
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
    parser.add_argument("--batch", type=int, default=500, help="announcements a transaction, at most")
    return parser.parse_args(texts)


if __name__ == "__main__":
    chosen = parse(sys.argv[1:])
    try:
        follow(sqlite3.connect(chosen.database, isolation_level=None), chosen)
    except ShardRefused as refusal:
        sys.exit(f"{refusal}\nRemove {chosen.database} to build the table anew, if the topic still has its beginning.")
    except KeyboardInterrupt:
        pass

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from examples.materialised_view import View
from processor.client.codec import DecodedRecord
from processor.cluster.document import to_document
from processor.cluster.loading import load_state
from processor.cluster.machine import ClusterMachine
from processor.consume import Received, ShardRefused
from processor.engine.inputs import Record
from tests.examples_run.killed_view import KILLED_AT
from tests.integration.play import Play
from tests.integration.processes import PROJECT, command
from tests.waiting import wait_until

EVENTS = 800
BATCH = 7
# In a batch: begin, a few statements an announcement, commit. The first statements of all make the tables.
STATEMENTS = (2, 6, 9, 19, 41)
SIGKILLS = 2
CAUGHT_UP_TIMEOUT_S = 120.0


@pytest.fixture
def view() -> Iterator[View]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield View(connection)


def announcement(
    number: int, after: Any, *, type_: str = "processor.changes.ModelChanged", error: str = ""
) -> Received:
    op = "d" if after is None else "u"
    record = Record("changes", 3, 10 + 2 * number, 0, b"model/iris", b"")
    decoded = DecodedRecord("changes", 3, record.offset, 0, "model/iris", (), type_, {"op": op, "after": after}, error)
    return Received(record, decoded, number)


def rows(database: Path | View) -> list[tuple[Any, ...]]:
    query = "select shard, kind, name, value from entities"
    if isinstance(database, View):
        return database._connection.execute(query).fetchall()
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def number_of(database: Path) -> int:
    """Return the last announcement that the table holds, −1 while there is none."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            return int(connection.execute("select coalesce(max(number), -1) from progress").fetchone()[0])
    except sqlite3.OperationalError:
        return -1


def test_rows_come_change_and_go_with_the_announcements(view: View) -> None:
    view.apply([announcement(0, {"a": 1}), announcement(1, {"a": 2})])
    assert rows(view) == [(3, "model", "iris", '{"a": 2}')]
    assert (view.numbers(), view.positions()) == ({3: 1}, {3: 13})
    view.apply([announcement(2, None, type_="processor.changes.EventRejected"), announcement(3, None)])
    assert rows(view) == []
    assert (view.numbers(), view.positions()) == ({3: 3}, {3: 17})


@pytest.mark.parametrize("second", [announcement(0, {}), announcement(2, {}), announcement(1, {}, error="no schema")])
def test_a_batch_that_does_not_fit_leaves_nothing_behind(view: View, second: Received) -> None:
    with pytest.raises(ShardRefused):
        view.apply([announcement(0, {"a": 1}), second])
    assert (rows(view), view.numbers()) == ([], {})


class Follower:
    """Runs the view as a process, against the stage of a play."""

    def __init__(self, play: Play, database: Path) -> None:
        self.database = database
        stage = play.stage
        self._options = ["--bootstrap", stage.bootstrap, "--topics", str(stage.topics_file), "--batch", str(BATCH)]
        self.log = stage.directory / "view.log"
        self._log = self.log.open("wb")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *program: str, options: Sequence[str] = (), **environment: str) -> "subprocess.Popen[bytes]":
        self.process = subprocess.Popen(
            [sys.executable, *program, *self._options, "--database", str(self.database), *options],
            cwd=PROJECT,
            env=os.environ | environment,
            stdout=self._log,
            stderr=self._log,
        )
        return self.process

    def wait_for_number(self, number: int) -> None:
        def is_there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return number_of(self.database) >= number

        wait_until(is_there, what=f"the table holds announcement {number}", timeout_s=CAUGHT_UP_TIMEOUT_S)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@pytest.fixture
def follower(play: Play, tmp_path: Path) -> Iterator[Follower]:
    made = Follower(play, tmp_path / "cluster.sqlite")
    yield made
    made.close()


def document_of(database: Path) -> dict[str, Any]:
    """Return the state document that the table's rows make."""
    types = ClusterMachine.entity_types
    entities: list[tuple[str, Any]] = [
        (f"{kind}/{name}", msgspec.convert(json.loads(value), types[kind])) for _, kind, name, value in rows(database)
    ]
    return to_document(load_state(entities))


def state(play: Play) -> dict[str, Any]:
    told = command(play.stage.environment(), "state", "get", "-o", "json")
    assert told.returncode == 0, told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    return document


@pytest.mark.slow
def test_however_it_is_killed_the_table_is_the_state(play: Play, follower: Follower) -> None:
    random = Random(3)
    play.stage.start()
    traffic = play.traffic(play.script(EVENTS, seed=5), records_per_s=400)
    traffic.allow(traffic.total)
    for statement in STATEMENTS:
        killed = follower.start("-m", "tests.examples_run.killed_view", **{KILLED_AT: str(statement)})
        assert killed.wait(CAUGHT_UP_TIMEOUT_S) == -signal.SIGKILL
    before = number_of(follower.database)
    assert before > 0, "some batches came through before they were killed"
    for _ in range(SIGKILLS):
        process = follower.start("examples/materialised_view.py")
        follower.wait_for_number(number_of(follower.database) + random.randrange(1, 100))
        process.kill()
        process.wait()
    traffic.wait_until_sent(traffic.total)
    play.wait_until_quiet()
    last = play.artefacts().store.head["announcements"] - 1
    assert last > before
    follower.start("examples/materialised_view.py")
    follower.wait_for_number(last)
    assert document_of(follower.database) == state(play)
    assert number_of(follower.database) == last
    changes = play.assert_whole().changes
    assert {"c", "u", "d", None} == {one.value.get("op") for one in changes}, "all that may happen to a row happened"


@pytest.mark.slow
def test_a_new_table_begins_with_a_snapshot_where_the_topic_has_lost_its_beginning(
    play: Play, follower: Follower, tmp_path: Path
) -> None:
    snapshot, lines = tmp_path / "cluster.snapshot", play.script(EVENTS // 4, seed=6)
    play.stage.start()
    play.send(lines[: len(lines) // 2])
    wait_until(lambda: len(play.follower.changes) > EVENTS // 40, what="the reader that reads along has seen some")
    lost = play.follower.changes[-5].offset
    assert command(play.stage.environment(), "state", "export", str(snapshot)).returncode == 0
    play.send(lines[len(lines) // 2 :])
    play.wait_until_quiet()
    last = play.artefacts().store.head["announcements"] - 1
    admin = AdminClient({"bootstrap.servers": play.stage.bootstrap})
    place = TopicPartition(play.stage.topics["changes"], 0, lost)
    admin.delete_records([place])[place].result(CAUGHT_UP_TIMEOUT_S)

    assert follower.start("examples/materialised_view.py").wait(CAUGHT_UP_TIMEOUT_S) == 1
    assert "announcement 0 was due" in follower.log.read_text()
    assert number_of(follower.database) == -1

    for _ in range(2):  # the second time it goes on with what the table holds
        process = follower.start("examples/materialised_view.py", options=["--snapshot", str(snapshot)])
        follower.wait_for_number(last)
        assert document_of(follower.database) == state(play)
        process.kill()
        process.wait()

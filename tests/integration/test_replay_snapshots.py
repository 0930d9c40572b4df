"""Snapshots of real shards: begun from when records are gone, and put into a store that lost everything."""

import json
from pathlib import Path
from typing import Any

import pytest

from processor.cli.exits import Exit
from processor.replay.snapshots import kept_in
from tests.integration.play import Play
from tests.integration.processes import command
from tests.integration.stage import Stage
from tests.integration.submitter import Line
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

EVENTS = 600


@pytest.fixture
def lines(play: Play) -> list[Line]:
    return play.script(EVENTS)


def _live(play: Play, lines: list[Line], **settings: str) -> None:
    process = play.stage.start(BATCH__EVENTS_MAX="20", **settings)
    for start in range(0, len(lines), 30):
        play.send(lines[start : start + 30])
    play.wait_until_quiet()
    assert process.terminate() == 0


def _json(done: Any) -> dict[str, Any]:
    assert done.returncode == Exit.OK, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_lost_store_is_made_again_from_the_topics_alone(play: Play, lines: list[Line], tmp_path: Path) -> None:
    _live(play, lines[: EVENTS // 2])
    environment, file = play.stage.environment(), str(tmp_path / "then.snapshot")
    before = play.store.dump()
    refused = command(environment, "state", "import", file)
    assert (refused.returncode, "then.snapshot" in refused.stderr) == (Exit.USAGE, True)
    assert _json(command(environment, "replay", "--snapshot", file, "-o", "json"))["digest"] == before.head["digest"]
    occupied = command(environment, "state", "import", file, "--execute")
    assert (occupied.returncode, "nothing is overwritten" in occupied.stderr) == (Exit.CONFLICT, True)
    play.store.delete_all()
    plan = _json(command(environment, "state", "import", file, "-o", "json"))
    assert (plan["done"], plan["seq"], plan["warnings"], play.store.head()) == (False, before.head["seq"], [], None)
    assert _json(command(environment, "state", "import", file, "--execute", "-o", "json"))["done"]
    head = play.store.head() or {}
    for part in ("seq", "digest", "positions", "topics", "announcements", "reducer_version"):
        assert head[part] == before.head[part], part
    process = play.stage.start()
    play.send(lines[EVENTS // 2 :])
    play.wait_until_quiet()
    assert process.terminate() == 0
    report = _json(command(environment, "replay", "--verify", "-o", "json"))
    assert report["findings"] == []


def test_an_older_snapshot_is_folded_forward_before_it_is_imported(
    play: Play, lines: list[Line], tmp_path: Path
) -> None:
    _live(play, lines[: EVENTS // 2])
    environment, old, new = play.stage.environment(), str(tmp_path / "old"), str(tmp_path / "new")
    written = _json(command(environment, "state", "export", old, "-o", "json"))
    assert written["digest"] == (play.store.head() or {})["digest"]
    _live(play, lines[EVENTS // 2 :])
    digest = (play.store.head() or {})["digest"]
    play.store.delete_all()
    early = command(environment, "state", "import", old)
    assert (early.returncode, "Fold the rest first" in early.stderr) == (Exit.USAGE, True)
    forward = _json(command(environment, "replay", "--from-snapshot", old, "--snapshot", new, "-o", "json"))
    assert (forward["digest"], forward["from_seq"]) == (digest, written["seq"])
    assert _json(command(environment, "state", "import", new, "--execute", "-o", "json"))["digest"] == digest


def test_when_retention_has_passed_the_first_seq_is_named_and_a_periodic_snapshot_reaches_on(
    play: Play, lines: list[Line], tmp_path: Path
) -> None:
    directory = tmp_path / "kept"
    process = play.stage.start(BATCH__EVENTS_MAX="20", SNAPSHOTS__DIRECTORY=str(directory), SNAPSHOTS__INTERVAL_S="0.5")
    for start in range(0, EVENTS, 60):
        play.send(lines[start : start + 60])
    wait_until(lambda: kept_in(directory, play.stage.name, 0), what="a snapshot is written")
    play.wait_until_quiet()
    assert process.terminate() == 0
    seq = min(kept_in(directory, play.stage.name, 0))
    position = play.store.dump().position(play.stage.topics["normal"], 0)
    play.cut(play.stage.topics["normal"], position - 1)
    environment = play.stage.environment(SNAPSHOTS__DIRECTORY=str(directory))
    gone = command(environment, "replay", "--verify")
    assert gone.returncode == Exit.INVALID_DATA
    assert f"the oldest that is kept is {position - 1}" in gone.stderr
    last = int((play.store.head() or {})["seq"])
    assert "on are available" in gone.stderr
    again = _json(command(environment, "replay", "--verify", "--from-seq", str(last), "-o", "json"))
    assert (again["findings"], again["compared"]) == ([], 1)
    assert seq <= last


def test_a_damaged_snapshot_is_named(play: Play, lines: list[Line], tmp_path: Path) -> None:
    _live(play, lines[:100])
    file = tmp_path / "then.snapshot"
    environment = play.stage.environment()
    _json(command(environment, "state", "export", str(file), "-o", "json"))
    file.write_bytes(file.read_bytes()[:-1])
    for arguments in (("replay", "--from-snapshot", str(file)), ("state", "import", str(file))):
        refused = command(environment, *arguments)
        assert refused.returncode == Exit.INVALID_DATA, refused.stderr
        assert f"{file} is damaged or cut short" in refused.stderr


def test_each_of_several_shards_is_replayed_from_its_own_partitions(
    kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path
) -> None:
    stage = Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=2)
    stage.build()
    plays = [Play(stage, shard=shard) for shard in range(2)]
    try:
        process = stage.start(BATCH__EVENTS_MAX="20")
        for shard, play in enumerate(plays):
            play.send(play.script(150 + 50 * shard, seed=shard + 1))
        for play in plays:
            play.wait_until_quiet()
        assert process.terminate() == 0
        for shard, play in enumerate(plays):
            chosen = ("--verify", "--cluster", f"cluster-{shard}")
            report = _json(command(stage.environment(), "replay", *chosen, "--announcements", "-o", "json"))
            assert (report["findings"], report["digest"]) == ([], (play.store.head() or {})["digest"])
        file = str(tmp_path / "first")
        _json(command(stage.environment(), "state", "export", file, "--cluster", "cluster-0", "-o", "json"))
        foreign = command(stage.environment(), "state", "import", file, "--cluster", "cluster-1")
        assert (foreign.returncode, "not of shard 1 (cluster-1)" in foreign.stderr) == (Exit.INVALID_DATA, True)
    finally:
        for play in plays:
            play.close()
        stage.strike()

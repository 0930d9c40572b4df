"""Going back to any point of a run on real servers: by the store's history, and by folding the records again."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from processor.cli.context import CommandContext
from processor.cli.exits import Exit
from processor.cli.points import past_in
from processor.cluster.document import to_document
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, Past
from processor.history.stored import StoredStates
from processor.replay.snapshots import file_name
from processor.replay.states import StateHistory
from processor.replay.wiring import ShardPast
from tests.checker.artefacts import Artefacts
from tests.integration.play import Play
from tests.integration.processes import command

EVENTS = 600
CHUNK = 12
POINTS = 50
OPERATIONS_MAX = "16"
OUTSIDE = [
    (("--at-seq", "99999"), "seq 99999 is in the future: the last commit is "),
    (("--at-time", "2000-01-01T00:00:00Z"), "is before the beginning: the shard began at "),
    (("--at-offset", "nowhere:0:1"), "there is no topic 'nowhere'; by role or name there are high ("),
    (("--at-revision", "1"), "is before the beginning: the shard began at "),
    (("--at-seq", "1", "--at-time", "10m"), "one point at a time"),
]


@pytest.fixture
def told(play: Play) -> Artefacts:
    """What a run of some fifty commits has left behind, many of which were too large for one transaction."""
    lines = play.script(EVENTS)
    process = play.stage.start(ETCD__TXN_OPS_MAX=OPERATIONS_MAX)
    for start in range(0, EVENTS, CHUNK):
        play.send(lines[start : start + CHUNK])
    play.wait_until_quiet()
    assert process.terminate() == 0
    return play.artefacts()


@pytest.fixture
def past(play: Play, monkeypatch: pytest.MonkeyPatch) -> ShardPast:
    for name, value in play.stage.environment().items():
        monkeypatch.setenv(name, value)
    return past_in(CommandContext(None), 0)


@pytest.fixture
def states(past: ShardPast) -> Iterator[StoredStates]:
    with past.stored_states() as states:
        yield states


@pytest.fixture
def history(past: ShardPast) -> StateHistory:
    return StateHistory(past, lambda _sentence: None, lambda *_counts: None)


def _random_points(told: Artefacts) -> list[tuple[Past, int]]:
    """Return points of every sort with the seq that a look through the whole commit log gives."""
    chance = random.Random(5)
    commits = [(one.value, int(one.headers["processor-revision"])) for one in told.commits]
    points: list[tuple[Past, int]] = []
    while len(points) < POINTS:
        commit, revision = chance.choice(commits)
        later = next((at for other, at in commits if other["seq"] == commit["seq"] + 1), revision + 1)
        span = chance.choice(commit["ranges"])
        offset = chance.randrange(span["from"], span["to"])
        last = max(other["seq"] for other, _ in commits if other["committed_ms"] <= commit["committed_ms"])
        points += [
            (AtSeq(commit["seq"]), commit["seq"]),
            (AtTime(commit["committed_ms"]), last),
            (AtOffset(span["topic"], span["partition"], offset), commit["seq"]),
            (AtRevision(chance.randrange(revision, later)), commit["seq"]),
        ]
    return points[:POINTS]


def test_any_point_is_the_same_by_the_stores_history_and_by_folding_the_records_again(
    play: Play, told: Artefacts, states: StoredStates, history: StateHistory
) -> None:
    revisions = [int(one.headers["processor-revision"]) for one in told.commits]
    assert any(play.store.count("delta/", revision=revision) for revision in revisions), "keys were behind now and then"
    digests = {one.value["seq"]: one.value["digest"].hex() for one in told.commits}
    for point, seq in _random_points(told):
        view, again = states.at(point), history.refold(point)
        assert (point, view.seq, view.digest) == (point, seq, digests[seq])
        assert (point, again.seq, again.digest) == (point, seq, digests[seq])
        assert again.state == view.state
        assert view.whole
    assert states.now().digest == digests[max(digests)]


def test_a_point_that_the_store_has_forgotten_is_folded_again(
    play: Play, told: Artefacts, states: StoredStates
) -> None:
    seq, last = told.commits[len(told.commits) // 2].seq, told.commits[-1].seq
    before = states.at(AtSeq(seq))
    states._client.compact(play.store.revision())
    environment = play.stage.environment()
    then = command(environment, "state", "get", "--at-seq", str(seq), "-o", "json")
    assert then.returncode == Exit.OK, then.stderr
    assert "the store's history no longer reaches back to that point: the records are folded again" in then.stderr
    assert f"seq {seq}, committed " in then.stderr
    assert "from the records, folded again from the beginning" in then.stderr
    assert json.loads(then.stdout) == to_document(before.state)
    shelf = play.stage.directory / "shelf"
    shelf.mkdir()
    path = shelf / file_name(play.stage.name, 0, seq - 2)
    assert command(environment, "replay", "--to-seq", str(seq - 2), "--snapshot", str(path)).returncode == Exit.OK
    with_shelf = play.stage.environment(SNAPSHOTS__DIRECTORY=str(shelf))
    nearer = command(with_shelf, "state", "get", "--at-seq", str(seq), "-o", "json")
    assert f"folded again from {path}, seq {seq - 2} (2 commits)" in nearer.stderr
    assert nearer.stdout == then.stdout
    kept = command(environment, "state", "get", "--at-seq", str(last), "-o", "json")
    assert "from the store's history, revision " in kept.stderr
    key = next(one.record.key for one in told.changes if one.seq == seq_of_change(told, before=seq))
    kind, _, name = (key or b"").decode().partition("/")
    explained = json.loads(command(environment, "state", "explain", kind, name, "-n", "99", "-o", "json").stdout)
    causes = [event for episode in explained["history"] for event in episode["events"]]
    assert causes
    assert all(event["fields"] for event in causes), causes


def seq_of_change(told: Artefacts, *, before: int) -> int:
    """Return the last commit before one that changed an entity."""
    return max(one.seq for one in told.commits if one.seq < before and one.value["changed"])


def test_the_state_of_a_seq_is_printed(play: Play, told: Artefacts) -> None:
    environment = play.stage.environment()
    seq = told.commits[len(told.commits) // 2].seq
    then = command(environment, "state", "get", "--at-seq", str(seq), "-o", "json")
    assert (then.returncode, f"seq {seq}, committed " in then.stderr) == (Exit.OK, True)
    assert "from the store's history, revision " in then.stderr
    first = command(environment, "state", "get", "--at-seq", "0", "-o", "json")
    assert _tables(json.loads(first.stdout)) == {}
    now = command(environment, "state", "get", "-o", "json")
    last = command(environment, "state", "get", "--at-seq", str(told.commits[-1].seq), "-o", "json")
    assert json.loads(last.stdout) == json.loads(now.stdout)
    assert json.loads(then.stdout) != json.loads(now.stdout)


def test_two_points_are_compared(play: Play, told: Artefacts) -> None:
    environment = play.stage.environment()
    commit = [one.value for one in told.commits if one.value["changed"]][-1]
    points = (f"seq:{commit['seq'] - 1}", f"seq:{commit['seq']}")
    found = command(environment, "state", "diff", *points, "-o", "json")
    assert found.returncode == Exit.DIFFERS, found.stderr
    told_as = json.loads(found.stdout)
    announced = [one.record.key for one in told.changes if one.seq == commit["seq"] and "after" in one.value]
    assert [f"{one['kind']}/{one['name']}".encode() for one in told_as["differences"]] == announced
    assert told_as["b"]["digest"] == commit["digest"].hex()
    assert command(environment, "state", "diff", points[0], points[0]).returncode == Exit.OK
    assert command(environment, "state", "export", str(play.stage.directory / "kept.snapshot")).returncode == Exit.OK
    document = play.stage.directory / "kept.json"
    document.write_text(command(environment, "state", "get", "-o", "json").stdout)
    for kept in ("kept.snapshot", "kept.json"):
        same = command(environment, "state", "diff", str(play.stage.directory / kept), "now")
        assert (same.returncode, "the two are equal" in same.stderr) == (Exit.OK, True), same.stderr
        other = command(environment, "state", "diff", points[0], str(play.stage.directory / kept), "-o", "name")
        assert (other.returncode, bool(other.stdout)) == (Exit.DIFFERS, True)
    document.write_text("[]")
    assert command(environment, "state", "diff", str(document), "now").returncode == Exit.INVALID_DATA
    table = command(environment, "state", "diff", *points).stdout
    assert table.split()[:5] == ["KIND", "NAME", "FIELD", "BEFORE", "AFTER"]


@pytest.mark.usefixtures("told")
def test_a_point_outside_is_told_with_the_ends(play: Play) -> None:
    for options, said in OUTSIDE:
        refused = command(play.stage.environment(), "state", "get", *options)
        assert (refused.returncode, said in refused.stderr, refused.stdout) == (Exit.USAGE, True, ""), refused.stderr


def _tables(document: dict[str, Any]) -> dict[str, Any]:
    return {name: table for name, table in document.items() if table and name != "policy"}

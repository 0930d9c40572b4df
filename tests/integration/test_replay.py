"""What real processes recorded on real servers, folded again by the command."""

import json
import secrets
from subprocess import CompletedProcess
from typing import Any

from processor.cli.exits import Exit
from tests.integration.play import Play
from tests.integration.processes import command
from tests.waiting import wait_until

EVENTS = 900
CHUNK = 30
KILLS = 3


def _replay(play: Play, *options: str, seed: str = "4711") -> tuple["CompletedProcess[str]", dict[str, Any]]:
    environment = play.stage.environment() | {"PYTHONHASHSEED": seed}
    done = command(environment, "replay", *options, "-o", "json")
    return done, json.loads(done.stdout) if done.stdout else {}


def _killed_life(play: Play) -> None:
    """Send a life in small parts, and kill its processor along the way."""
    lines = play.script(EVENTS)
    processor = play.stage.start(SHARDS__LEASE_TTL_S="1", BATCH__EVENTS_MAX="20")
    part = len(lines) // (KILLS + 1)
    for kill in range(KILLS):
        play.send(lines[kill * part : kill * part + part // 2])
        play.submitter.send(lines[kill * part + part // 2 : (kill + 1) * part])
        processor.kill()
        processor.start()
    play.send(lines[KILLS * part :])
    play.wait_until_quiet()
    assert processor.terminate() == 0


def test_a_life_with_kills_has_equal_digests_at_every_commit_under_another_hash_seed(play: Play) -> None:
    _killed_life(play)
    done, report = _replay(play, "--verify")
    assert (done.returncode, report.get("findings")) == (Exit.OK, []), done.stderr
    head = play.store.head() or {}
    assert (report["to_seq"], report["digest"]) == (head["seq"], head["digest"])
    assert report["compared"] == report["commits"] == head["seq"]
    assert report["live"] == f"compared at seq {head['seq']}"
    again, second = _replay(play, "--verify", seed="1")
    assert (again.returncode, second["digest"]) == (Exit.OK, head["digest"])


def test_a_repair_and_a_gap_in_the_history_are_taken_as_they_were_recorded(play: Play) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start()
    play.send(lines[: EVENTS // 3])
    play.wait_until_quiet()
    key = next(key for key in sorted(play.store.dump().entities) if key.startswith("responder/"))
    name, value = play.reference.schemas.decode(play.store.dump().entities[key])
    edited = play.reference.schemas.encode(name, {**value, "connected_ms": value["connected_ms"] + 1})
    head = {**(play.store.head() or {}), "commit_id": secrets.token_hex(8)}
    play.store.write({f"state/{key}": edited, "head": json.dumps(head).encode()})
    repair = play.wait_for_commit("repair")
    play.send(lines[EVENTS // 3 : 2 * EVENTS // 3])
    play.wait_until_quiet()
    assert first.terminate() == 0
    environment = play.stage.environment()
    back = command(
        environment, "offsets", "reset", "--topic", play.stage.topics["normal"], "--shift-by", "-5", "--execute"
    )
    assert back.returncode == 0, back.stderr
    second = play.stage.start()
    gap = play.wait_for_commit("gap")
    play.send(lines[2 * EVENTS // 3 :])
    play.wait_until_quiet()
    assert second.terminate() == 0
    done, report = _replay(play, "--verify")
    assert (done.returncode, report.get("findings")) == (Exit.OK, []), done.stderr
    assert 0 < repair["seq"] < gap["seq"] < report["to_seq"]


def test_another_reducer_or_event_shows_where_the_histories_part(play: Play) -> None:
    lines = play.script(EVENTS // 3)
    process = play.stage.start(BATCH__EVENTS_MAX="20")
    play.send(lines)
    play.wait_until_quiet()
    assert process.terminate() == 0
    same, whole = _replay(play, "--reducer", "processor.cluster.machine:ClusterMachine")
    assert (same.returncode, whole["parted"], whole["differences"]) == (Exit.OK, None, []), same.stderr
    other, report = _replay(play, "--reducer", "tests.replay.other_machines:Broken")
    assert (other.returncode, f"the histories part at seq {report['parted']}" in other.stderr) == (Exit.DIFFERS, True)
    assert {one["op"] for one in report["differences"]} <= {"delete", "update"}
    nothing, _ = _replay(play, "--reducer", "tests.replay.other_machines:NOTHING")
    assert (nothing.returncode, "is not a state machine" in nothing.stderr) == (Exit.USAGE, True)
    unknown, _ = _replay(play, "--without", "nobody")
    assert unknown.returncode == Exit.INVALID_DATA
    event = {"type": "ServerReplicaConnected", "at_ms": 1, "data": {"server": "new", "replica": 0, "memory": 1}}
    extra = play.stage.directory / "extra.jsonl"
    extra.write_text(json.dumps(event) + "\n")
    added, report = _replay(play, "--with-events", str(extra), "--at-seq", "1")
    assert (added.returncode, report["parted"], report["extra_outcomes"]) == (Exit.DIFFERS, 2, ["applied"])
    assert ("create", "server", "new") in {(one["op"], one["kind"], one["name"]) for one in report["differences"]}


def test_every_announcement_is_made_again_to_the_byte(play: Play) -> None:
    _killed_life(play)
    done, report = _replay(play, "--verify", "--announcements")
    assert (done.returncode, report.get("findings")) == (Exit.OK, []), done.stderr
    assert report["announcements"] == f"{_announcements(play):,} compared, 0 are gone"


def _announcements(play: Play) -> int:
    """Return how many announcements the shard has made."""
    return int((play.store.head() or {})["announcements"])


def test_a_replay_agrees_while_the_processor_goes_on(play: Play) -> None:
    empty, _ = _replay(play, "--verify")
    assert (empty.returncode, "no processor has run it" in empty.stderr) == (Exit.CONFLICT, True), empty.stderr
    play.stage.start(BATCH__EVENTS_MAX="20")
    traffic = play.traffic(play.script(EVENTS), records_per_s=100)
    traffic.allow(traffic.total)
    wait_until(lambda: len(play.follower.commits) > 5, what="some commits are published")
    done, report = _replay(play, "--verify")
    assert (done.returncode, report.get("findings")) == (Exit.OK, []), done.stderr
    assert report["live"] == f"compared at seq {report['to_seq']}"
    traffic.wait_until_sent(traffic.total)
    play.assert_whole()

"""Somebody else writes into the store: with the head, without it, or by losing it altogether."""

import json
import secrets
import subprocess
import sys
from base64 import b64encode

from tests.checker.verdict import findings
from tests.integration.play import Play
from tests.integration.processes import PROJECT, command

EVENTS = 400


def test_an_entity_repaired_together_with_the_head_is_announced_and_processing_goes_on(play: Play) -> None:
    lines = play.script(EVENTS)
    play.stage.start()
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    key, edited = _edited(play)
    head = {**(play.store.head() or {}), "commit_id": secrets.token_hex(8)}
    play.store.write({f"state/{key}": edited, "head": json.dumps(head).encode()})
    repair = play.wait_for_commit("repair")
    play.send(lines[EVENTS // 2 :])
    artefacts = play.assert_whole()
    announced = [one for one in artefacts.changes if one.seq == repair["seq"]]
    assert [one.record.key for one in announced] == [key.encode()]
    assert announced[0].value["after"] != announced[0].value["before"]
    assert repair["ranges"] == []


def test_the_example_repairs_an_entity_while_nobody_owns_the_shard(play: Play) -> None:
    lines = play.script(EVENTS)
    owner = play.stage.start()
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    assert owner.terminate() == 0
    key, _ = _edited(play)
    words = (sys.executable, str(PROJECT / "examples/repair_entity.py"), "0", key, '{"connected_ms": 5}')
    told = subprocess.run(words, env=play.stage.environment(), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    play.stage.start()
    repair = play.wait_for_commit("repair")
    artefacts = play.assert_whole()
    (announced,) = [one for one in artefacts.changes if one.seq == repair["seq"]]
    assert (announced.record.key, announced.value["after"]["connected_ms"]) == (key.encode(), 5)


def test_a_repair_whose_owner_is_killed_before_it_announced_it_is_announced_by_the_next_one(play: Play) -> None:
    lines = play.script(EVENTS)
    owner = play.stage.start()
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    owner.freeze()
    key, edited = _edited(play)
    before = play.store.dump().entities[key]
    repaired = {key: b64encode(before).decode()}
    head = {**(play.store.head() or {}), "commit_id": secrets.token_hex(8), "repaired": repaired}
    play.store.write({f"state/{key}": edited, "head": json.dumps(head).encode()})
    owner.kill()

    doctor = command(play.stage.environment(), "doctor", "-o", "json")
    (check,) = [check for check in json.loads(doctor.stdout) if check["check"] == "shard 0 state"]
    assert (check["verdict"], key in check["detail"]) == ("warning", True)
    play.stage.start()
    repair = play.wait_for_commit("repair")
    play.send(lines[EVENTS // 2 :])
    artefacts = play.assert_whole()
    (announced,) = [one for one in artefacts.changes if one.seq == repair["seq"]]
    assert announced.record.key == key.encode()
    assert announced.value["before"]["connected_ms"] + 1 == announced.value["after"]["connected_ms"]
    assert artefacts.store.head["repaired"] == {}


def test_an_entity_edited_behind_the_heads_back_is_refused_by_name_until_it_is_adopted(play: Play) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start()
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    assert first.terminate() == 0
    key, edited = _edited(play)
    play.store.write({f"state/{key}": edited})
    second = play.stage.start()
    refusal = second.wait_for_log("shard_refused")
    assert key in refusal["reason"]
    assert second.get("/readyz")[0] == 503
    plan = command(play.stage.environment(), "shards", "adopt", "0")
    assert plan.returncode == 0, plan.stderr
    assert play.commits_of("repair") == []
    adopted = command(play.stage.environment(), "shards", "adopt", "0", "--execute")
    assert adopted.returncode == 0, adopted.stderr
    repair = play.wait_for_commit("repair")
    second.wait_until_ready()
    play.send(lines[EVENTS // 2 :])
    artefacts = play.assert_whole()
    (announced,) = [one for one in artefacts.changes if one.seq == repair["seq"]]
    assert announced.record.key == key.encode()
    assert (announced.value["op"], announced.value["before"], announced.value["transitions"]) == ("u", None, [])


def test_a_store_that_lost_its_data_is_refused_because_the_output_knows_better(play: Play) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start()
    play.send(lines)
    play.wait_until_quiet()
    assert first.terminate() == 0
    artefacts = play.artefacts()
    play.store.delete_all()
    second = play.stage.start()
    refusal = second.wait_for_log("shard_refused")
    assert str(artefacts.commits[-1].seq) in refusal["reason"]
    assert second.get("/readyz")[0] == 503
    assert second.terminate() == 0
    assert play.store.head() is None
    assert play.stage.record_count("commits") == len(artefacts.commits)
    assert findings(artefacts, play.reference) == {}


def test_an_owner_under_whom_the_store_goes_back_in_time_stops_and_publishes_nothing_more(play: Play) -> None:
    lines = play.script(EVENTS)
    owner = play.stage.start()
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    older = play.store.keys()["head"]
    play.send(lines[EVENTS // 2 :])
    play.wait_until_quiet()
    commits = play.stage.record_count("commits")
    play.store.write({"head": older})
    refusal = owner.wait_for_log("shard_refused")
    assert f"its head is at seq {json.loads(older)['seq']}, seq {commits} was already committed" in refusal["reason"]
    assert "processor doctor" in refusal["reason"]
    assert owner.get("/readyz")[0] == 503
    assert owner.terminate() == 0
    assert play.stage.record_count("commits") == commits
    assert play.store.keys()["head"] == older


def _edited(play: Play) -> tuple[str, bytes]:
    """Return the key of a responder and a value that says it connected a moment later."""
    schemas = play.reference.schemas
    entities = play.store.dump().entities
    key = next(key for key in sorted(entities) if key.startswith("responder/"))
    name, value = schemas.decode(entities[key])
    return key, schemas.encode(name, {**value, "connected_ms": value["connected_ms"] + 1})

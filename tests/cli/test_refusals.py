"""What must not be run is refused on real servers, with the facts and the command that answers it; then it runs on."""

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli
from tests.cli.one_shard import ANSWER_TIMEOUT_S, Shard
from tests.waiting import wait_until


@pytest.fixture
def shard(servers: dict[str, str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Shard:
    monkeypatch.setenv("PROCESSOR_LOG__LEVEL", "info")
    monkeypatch.setenv("PROCESSOR_LOG__FORMAT", "json")
    assert cli("topics", "apply").code == Exit.OK
    return Shard(cli, servers)


def test_records_gone_before_they_were_read_are_a_hole_that_can_be_accepted(shard: Shard) -> None:
    shard.work("s1")
    shard.submit("s2", "s3")
    shard.cut("high", 2)
    assert "next offset is 1, the oldest kept is 2: offset 1 is gone; whether" in shard.refusal()
    assert f"processor shards accept-gap SHARD --topic {shard.topics['high']} --to 2" in shard.doctor()
    assert "--to 2" in shard.cli("doctor").err, "a table has no room for it"
    assert shard.cli("shards", "accept-gap", "0", "--topic", "high", "--to", "9").code == Exit.USAGE
    shard.plan_then("shards", "accept-gap", "0", "--topic", "high", "--to", "2")
    shard.work()
    assert shard.servers() == ["s1", "s3"]
    (gap,) = [commit for commit in shard.commits() if commit["kind"] == "gap"]
    assert gap["ranges"] == [{"topic": shard.topics["high"], "partition": 0, "from": 1, "to": 2, "count": 0}]
    assert shard.audit() == ["accept-gap"]
    again = shard.cli("shards", "accept-gap", "0", "--topic", "high", "--to", "3")
    assert (again.code, "nothing to accept" in again.err) == (Exit.DIFFERS, True)
    assert shard.cli("doctor").code == Exit.OK


def test_topics_that_were_made_anew_are_refused_until_they_are_accepted(shard: Shard) -> None:
    shard.work("s1", "s2")
    shard.make_anew("high")
    shard.submit("s3")
    assert f"topic {shard.topics['high']} was recreated" in shard.refusal()
    shard.plan_then("shards", "accept-gap", "0", "--topic", "high", "--to", "0")
    shard.work()
    assert shard.servers() == ["s1", "s2", "s3"]
    shard.make_anew("changes")
    refusal = shard.refusal()
    assert refusal.endswith(f"processor shards accept-gap SHARD --topic {shard.topics['changes']}")
    shard.plan_then("shards", "accept-gap", "0", "--topic", "changes")
    shard.work("s4")
    assert shard.servers() == ["s1", "s2", "s3", "s4"]
    assert [commit["kind"] for commit in shard.commits()].count("gap") == 2


def test_an_end_below_our_position_is_refused(shard: Shard) -> None:
    shard.work("s1")
    positions = (shard.store.head() or {})["positions"]
    shard.put_head(positions={**positions, shard.topics["high"]: {"0": 5}})
    assert "next offset is 5, the end is 1: 4 are missing" in shard.refusal()
    shard.plan_then("shards", "accept-gap", "0", "--topic", "high", "--to", "1")
    shard.work("s2")
    assert shard.servers() == ["s1", "s2"]


@pytest.mark.parametrize(
    ("newer", "said"),
    [
        ({"layout": 99}, "the store has layout 99"),
        ({"reducer_version": 99}, "made by reducer version 99"),
    ],
)
def test_a_state_of_a_newer_build_is_refused(shard: Shard, newer: dict[str, int], said: str) -> None:
    shard.work("s1")
    shard.put_head(**newer)
    refusal = shard.refusal()
    assert said in refusal
    assert "run " in refusal
    assert said in shard.doctor()


def test_a_store_restored_from_an_older_backup_is_refused_and_left_alone(shard: Shard) -> None:
    shard.work("s1")
    backup = shard.store.keys()
    shard.work("s2")
    seq = shard.commits()[-1]["seq"]
    shard.store.delete_all()
    shard.store.write(dict(backup))
    assert f"holds seq {seq}, the store's head is at seq 1" in shard.refusal()
    assert "restored" in shard.doctor()
    assert shard.store.keys() == backup


def test_an_emptied_commit_log_is_refused_until_it_is_decided_that_what_waits_was_not_published(shard: Shard) -> None:
    shard.work("s1", "s2")
    log = shard.commits()
    shard.cut("commits")
    assert "the commits partition was emptied" in shard.refusal()
    assert "processor shards announce SHARD" in shard.doctor()
    shown = shard.cli("shards", "announce", "0", "-o", "json")
    assert (shown.code, shown.json["decision"]) == (Exit.OK, "undecided")
    assert [commit["seq"] for commit in shown.json["commits"]] == [commit["seq"] for commit in log]
    assert shard.cli("shards", "announce", "0", "--execute").code == Exit.USAGE
    shard.plan_then("shards", "announce", "0", "--again")
    shard.work("s3")
    assert [commit["seq"] for commit in shard.commits()][: len(log)] == [commit["seq"] for commit in log]
    assert shard.numbers() == [0, 1, 2]
    assert shard.audit() == ["announce-again"]
    assert shard.cli("shards", "announce", "0").code == Exit.DIFFERS


def test_an_emptied_output_is_refused_until_it_is_decided_that_what_waits_was_published(shard: Shard) -> None:
    shard.work("s1", "s2")
    shard.cut("changes")
    assert "the changes partition was emptied" in shard.refusal()
    shard.plan_then("shards", "announce", "0", "--skip")
    shard.work("s3")
    assert shard.numbers() == [2]
    assert shard.audit() == ["announce-skip"]


def test_an_adopted_edit_stands_in_the_audit_log(shard: Shard) -> None:
    shard.work("s1")
    shard.store.write({"state/server/s1": None})
    assert "processor shards adopt SHARD --execute" in shard.refusal()
    assert "changed without the head" in shard.doctor()
    assert shard.cli("shards", "adopt", "0", "--execute").code == Exit.OK
    shard.work()
    assert shard.servers() == []
    assert shard.audit() == ["adopt"]


def test_a_transaction_of_somebody_else_in_an_output_is_refused_until_it_ends(shard: Shard) -> None:
    shard.work("s1")
    foreign = shard.foreign_transaction("changes")
    doctor = shard.doctor()
    assert f"{shard.topics['changes']}[0]: a foreign open transaction hides the tail" in doctor
    foreign.abort_transaction(ANSWER_TIMEOUT_S)
    shard.work("s2")
    assert shard.numbers() == [0, 1]


@pytest.mark.usefixtures("processor")
def test_a_shard_at_work_is_left_alone_by_every_command(servers: dict[str, str], cli: Cli) -> None:
    shard = Shard(cli, servers)
    shard.submit("s1")
    wait_until(lambda: shard.servers() == ["s1"], what="s1 is there")
    shard.store.write({"state/server/s1": None})
    told = cli("shards", "adopt", "0", "--execute")
    assert (told.code, "shard 0 is owned" in told.err) == (Exit.CONFLICT, True)
    told = cli("shards", "announce", "0", "--skip", "--execute")
    assert told.code == Exit.DIFFERS, "its own outputs tell"
    assert shard.audit() == []

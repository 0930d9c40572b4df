"""What must not be run is refused on real servers, with the facts and the command that answers it; then it runs on."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processor.cli.exits import Exit
from processor.configuration import load
from tests.cli.conftest import Cli, Told
from tests.integration.store_reader import StoreReader
from tests.waiting import wait_until

ANSWER_TIMEOUT_S = 30.0


class Shard:
    """The one shard of a test: its topics by role, its keys, and what may befall them."""

    def __init__(self, cli: Cli, topics: Mapping[str, str]) -> None:
        settings = load().settings
        self.cli = cli
        self.topics = topics
        self.store = StoreReader(settings.etcd.endpoints[0], f"{settings.etcd.prefix}/{settings.app}/0/")
        self._brokers = {"bootstrap.servers": settings.kafka.bootstrap_servers}
        self._admin: Any = AdminClient(self._brokers)

    def work(self, *servers: str) -> None:
        """Tell of servers and process that."""
        self.submit(*servers)
        told = self.cli("run", "--once")
        assert told.code == Exit.OK, told.err

    def submit(self, *servers: str) -> None:
        for server in servers:
            data = json.dumps({"server": server, "replica": 0, "memory": 1000})
            assert self.cli("submit", "ServerReplicaConnected", "--data", data).code == Exit.OK

    def refusal(self) -> str:
        """Run into a refusal and return its words."""
        told = self.cli("run", "--once")
        assert told.code == Exit.DIFFERS, told.err
        (line,) = [line for line in told.err.splitlines() if '"event": "shard_refused"' in line]
        reason: str = json.loads(line)["reason"]
        return reason

    def doctor(self) -> str:
        """Return what fails in the doctor's eyes."""
        told = self.cli("doctor", "-o", "json")
        assert told.code == Exit.DIFFERS, told.out
        return "\n".join(check["detail"] for check in told.json if check["verdict"] == "failed")

    def servers(self) -> list[str]:
        return self.cli("state", "get", "servers", "-o", "name").out.split()

    def commits(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cli("commits", "list", "-o", "json").json
        return found

    def numbers(self) -> list[int]:
        """Return the numbers of the announcements that are there."""
        out = self.cli("events", "tail", "--topic", "changes", "--from", "beginning", "-o", "json").out
        return [int(json.loads(line)["headers"]["processor-number"]) for line in out.splitlines()]

    def audit(self) -> list[str]:
        return [row["action"] for row in self.cli("shards", "audit", "0", "-o", "json").json]

    def put_head(self, **changes: object) -> None:
        """Write the head as somebody might that should not."""
        head = {**(self.store.head() or {}), **changes}
        self.store.write({"head": json.dumps(head).encode()})

    def cut(self, role: str, low: int = -1) -> None:
        """Delete the records below an offset, all that there are without one."""
        place = TopicPartition(self.topics[role], 0, low)
        for answer in self._admin.delete_records([place]).values():
            answer.result(ANSWER_TIMEOUT_S)

    def make_anew(self, role: str) -> None:
        name = self.topics[role]
        self._admin.delete_topics([name])[name].result(ANSWER_TIMEOUT_S)
        wait_until(lambda: name not in self._admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics, what=f"no {name}")
        self._admin.create_topics([NewTopic(name, 1, 1)])[name].result(ANSWER_TIMEOUT_S)
        wait_until(lambda: name in self._admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics, what=f"a new {name}")

    def foreign_transaction(self, role: str) -> Any:
        """Return a writer that has begun a transaction in an output."""
        producer = Producer({**self._brokers, "transactional.id": f"{self.topics[role]}-foreign"})
        producer.init_transactions(ANSWER_TIMEOUT_S)
        producer.begin_transaction()
        producer.produce(self.topics[role], b"foreign", partition=0)
        producer.flush(ANSWER_TIMEOUT_S)
        return producer

    def plan_then(self, *command: str) -> Told:
        """Ask for the plan, see that it changed nothing, and execute it."""
        before = self.store.keys()
        plan = self.cli(*command, "-o", "json")
        assert (plan.code, plan.json["done"], "--execute" in plan.err) == (Exit.OK, False, True), plan.err
        assert self.store.keys() == before
        done = self.cli(*command, "--execute", "-o", "json")
        assert (done.code, done.json["done"]) == (Exit.OK, True), done.err
        return done


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
    assert "next offset is 1, the oldest kept is 2: 1 are gone" in shard.refusal()
    assert f"processor shards accept-gap SHARD --topic {shard.topics['high']} --to 2" in shard.doctor()
    assert shard.doctor() in shard.cli("doctor").err, "a table has no room for it"
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

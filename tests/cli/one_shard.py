"""The one shard of a test of commands: what befalls it, and what is left of it."""

import json
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processor.cli.exits import Exit
from processor.configuration.loading import load
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
        keys = self.cli("state", "get", "servers", "-o", "name").out.split()
        return [key.removeprefix("server/") for key in keys]

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

    def foreign_transaction(self, role: str, *values: bytes) -> Any:
        """Return a writer that has begun a transaction in a topic and written values to it."""
        producer = Producer({**self._brokers, "transactional.id": f"{self.topics[role]}-foreign"})
        producer.init_transactions(ANSWER_TIMEOUT_S)
        producer.begin_transaction()
        for value in values or (b"foreign",):
            producer.produce(self.topics[role], value, partition=0)
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

"""What one test runs on: topics and an etcd prefix of its own on the session's servers, and processes that use them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from tests.integration.kafka_reader import dump
from tests.integration.processes import PROJECT, RUN, ProcessorProcess
from tests.integration.store_reader import StoreReader

SHIPPED_TOPICS = PROJECT / "topics.yaml"
ANSWER_TIMEOUT_S = 30.0
WARNINGS = 4
"""Of syslog: librdkafka tells of less in every short life."""


@dataclass
class Stage:
    """`name` is the app, the beginning of all topic names and the etcd prefix; `directory` is for logs.

    Each topic has so many `replicas`, and a partition for each of the `shards`.
    """

    name: str
    bootstrap: str
    endpoint: str
    directory: Path
    replicas: int = 1
    shards: int = 1
    processes: list[ProcessorProcess] = field(default_factory=list)

    @property
    def topics(self) -> dict[str, str]:
        """Role → topic."""
        return {one["metadata"]["annotations"]["processor/role"]: one["metadata"]["name"] for one in self._described()}

    @property
    def clusters(self) -> tuple[str, ...]:
        """The name of each shard's cluster."""
        return tuple(f"cluster-{shard}" for shard in range(self.shards)) if self.shards > 1 else ("cluster",)

    def store_of(self, shard: int) -> StoreReader:
        """Return a reader and editor of a shard's keys."""
        return StoreReader(self.endpoint, f"/{self.name}/{self.name}/{shard}/")

    def build(self) -> None:
        """Create the topics and write the file that names them."""
        described = self._described()
        self.topics_file.write_text(yaml.safe_dump_all(described))
        new = [
            NewTopic(
                one["metadata"]["name"],
                num_partitions=one["spec"]["partitions"],
                replication_factor=one["spec"]["replicas"],
                config={name: str(value) for name, value in one["spec"]["config"].items()},
            )
            for one in described
        ]
        admin = self._admin()
        for answer in admin.create_topics(new).values():
            answer.result(ANSWER_TIMEOUT_S)

    def strike(self) -> None:
        """End what still runs and delete the topics."""
        for process in self.processes:
            process.end()
        admin = self._admin()
        for answer in admin.delete_topics(list(self.topics.values())).values():
            answer.result(ANSWER_TIMEOUT_S)

    @property
    def topics_file(self) -> Path:
        """The file that names the topics."""
        return self.directory / "topics.yaml"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return a process's environment; `settings` are PROCESSOR_… variables without that prefix."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROCESSOR_")}
        chosen = {
            "APP": self.name,
            "TOPICS_FILE": str(self.topics_file),
            "KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "ETCD__ENDPOINTS": self.endpoint,
            "ETCD__PREFIX": f"/{self.name}",
            "CLUSTERS": ",".join(self.clusters),
            "LOG__FORMAT": "json",
            "SHARDS__LEASE_TTL_S": "2",
        } | settings
        return inherited | {f"PROCESSOR_{name}": value for name, value in chosen.items()}

    def start(self, **settings: str) -> ProcessorProcess:
        """Start a processor."""
        process = self.processor(RUN, **settings)
        process.start()
        return process

    def processor(self, program: Sequence[str], **settings: str) -> ProcessorProcess:
        """Return a processor that is not started yet; `program` is what Python is told to run."""
        name = f"processor-{len(self.processes)}"
        environment, log = self.environment(**{"INSTANCE": name, **settings}), self.directory / f"{name}.log"
        process = ProcessorProcess(name, environment, log, program)
        self.processes.append(process)
        return process

    def record_count(self, role: str) -> int:
        """Return how many committed records a topic has."""
        return len(dump(self.bootstrap, self.topics[role]))

    def _admin(self) -> Any:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": WARNINGS})

    def _described(self) -> list[dict[str, Any]]:
        """Return the shipped topics under names of this test."""
        topics = list(yaml.safe_load_all(SHIPPED_TOPICS.read_text()))
        for one in topics:
            one["metadata"]["name"] = one["metadata"]["name"].replace("cluster", self.name, 1)
            one["spec"]["replicas"] = self.replicas
            one["spec"]["partitions"] = self.shards
        return topics

"""Where a run takes place: servers of the benchmark's own, and topics and keys of each run's own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec

from processor.configuration.etcd_settings import EtcdSettings
from processor.configuration.settings import KafkaSettings, Settings
from processor.engine.announcements import Role
from processor.kafka.admin import TopicsAdmin, TopicSpec
from processor.kafka.connection import KafkaConnection

PROJECT = Path(__file__).resolve().parents[1]
PROGRAM = PROJECT / "docker" / "local" / "services.py"
ROLES: tuple[Role, ...] = ("high", "normal", "changes", "commits", "dead-letters")
# The events of a job are as old as their first second says: by its defaults the broker would delete them.
TOPIC_CONFIG = {"retention.ms": "-1"}

Materialise = Literal["auto", "eager"]
_NUMBERS = count(1)


class Servers(msgspec.Struct, frozen=True):
    """Addresses, host:port."""

    kafka: str
    etcd: str


class Place(msgspec.Struct, frozen=True):
    """The topics and keys of one run, which nothing else uses."""

    servers: Servers
    name: str

    @property
    def topics(self) -> Mapping[Role, str]:
        """Role → topic name."""
        return {role: f"{self.name}.{role}" for role in ROLES}

    @property
    def connection(self) -> KafkaConnection:
        """How Kafka is reached."""
        return KafkaConnection(self.servers.kafka)

    def settings(self, materialise: Materialise) -> Settings:
        """Return the processor's defaults for this place."""
        return Settings(
            app=self.name,
            clusters=("bench",),
            kafka=KafkaSettings(bootstrap_servers=self.servers.kafka),
            etcd=EtcdSettings(endpoints=(self.servers.etcd,), materialise=materialise),
        )


def new_place(servers: Servers) -> Place:
    """Make the topics of a run."""
    place = Place(servers, f"bench-{next(_NUMBERS)}")
    admin = TopicsAdmin(place.connection)
    specs = [TopicSpec(name, partitions=1, replicas=1, config=TOPIC_CONFIG) for name in place.topics.values()]
    results = admin.apply(admin.plan(specs))
    failures = [result.failure for result in results if result.failure]
    if failures:
        raise RuntimeError(f"the topics of {place.name} cannot be made: {failures}")
    return place


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Start a Kafka and an etcd on free ports, in a folder that is removed at the end."""
    with TemporaryDirectory(prefix="processor-bench-") as folder:
        try:
            _services("up", folder, "--kafka-port=0", "--etcd-port=0")
            exports = dict(line.removeprefix("export ").split("=") for line in _services("env", folder).splitlines())
            yield Servers(exports["PROCESSOR_KAFKA__BOOTSTRAP_SERVERS"], exports["PROCESSOR_ETCD__ENDPOINTS"])
        finally:
            _services("down", folder)


def _services(command: str, folder: str, *options: str) -> str:
    line = [sys.executable, str(PROGRAM), command, f"--dir={folder}", *options]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout

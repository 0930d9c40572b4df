"""One shard of the cluster over the ports in memory, and its past as a replay reads it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.cluster.machine import ClusterMachine
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record, Watermarks
from processor.engine.values import Head, Identity
from processor.memory.broker import NewRecord
from processor.memory.store import MemoryStore
from processor.replay.fold import Build
from processor.replay.sources import LogDecoder, Sources
from tests.checker.memory_run import GIBIBYTE, POLICY, SPEC
from tests.checker.reference import cluster_reference
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.engine.world import TOPICS, World

PLACE = {"version": 1, "server": "cpu", "replica": 0, "available_memory": 3 * GIBIBYTE}
INPUTS = ("high", "normal")
CATALOGUE = Catalogue.load(SCHEMAS_DIRECTORY)
UNDERSTANDING = LogDecoder(CATALOGUE, ClusterMachine.entity_types)


class Topic:
    """One partition as kept; records may be altered or removed as a test likes."""

    def __init__(self, records: list[Record], low: int, high: int) -> None:
        self.records = records
        self.low = low
        self.high = high

    def watermarks(self) -> Mapping[int, Watermarks]:
        return {0: Watermarks(self.low, self.high)}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        return iter([record for record in self.records if record.offset >= starts[0]])

    def alter(self, at: int, **fields: Any) -> Record:
        """Change one record, the n-th; return what it was."""
        before = self.records[at]
        self.records[at] = msgspec.structs.replace(before, **fields)
        return before

    def flip(self, at: int, byte: int) -> None:
        """Flip the lowest bit of a byte of the n-th record's value."""
        value = bytearray(self.records[at].value or b"")
        value[byte] ^= 1
        self.alter(at, value=bytes(value))


class Past:
    """The topics of a shard as they were copied: what a replay reads."""

    def __init__(self, topics: dict[str, Topic]) -> None:
        self.topics = topics

    @property
    def sources(self) -> Sources:
        @contextmanager
        def opened(topic: str, partition: int) -> Iterator[Topic]:
            if partition:
                raise InvalidRequest(f"{topic} has no partition {partition}")
            yield self.topics[topic]

        topics = {**dict(zip(INPUTS, INPUTS, strict=True)), **TOPICS}
        return Sources(0, topics, opened, UNDERSTANDING.commit, UNDERSTANDING.image)  # type: ignore[arg-type]


class Shard:
    """What is submitted is processed in small commits."""

    def __init__(self, machine: Any = None) -> None:
        self.reference = cluster_reference()
        self.world = World(batch_events_max=3)
        self.machine = machine or ClusterMachine()
        self.encoder = AvroEncoder(CATALOGUE, ClusterMachine.entity_types)

    @property
    def build(self) -> Build:
        return Build(self.machine, self.reference.decoder, self.encoder)

    @property
    def head(self) -> Head:
        head = self.store.load().head
        assert head is not None
        return head

    @property
    def store(self) -> MemoryStore:
        return MemoryStore(self.world.cluster, 0)

    def submit(self, event: str, data: Mapping[str, Any], *, high: bool = False) -> None:
        self.submit_raw(self.reference.schemas.encode(f"processor.events.{event}", data), high=high)

    def submit_raw(self, value: bytes | None, *, high: bool = False) -> None:
        headers = (("ce_source", b"/test"),)
        self.world.broker.append(NewRecord("high" if high else "normal", 0, b"cluster", value, headers))

    def parts(self) -> Any:
        return self.world.parts(
            machine=self.machine,
            decoder=self.reference.decoder,
            encoder=self.encoder,
            identity=Identity("app", 0, "cluster", self.machine.version),
        )

    def process(self) -> None:
        """Let one processor, the next epoch, take all that waits, publish and leave."""
        self.world.run(self.parts())

    def past(self) -> Past:
        """Copy the topics."""
        return Past({topic: self._copy(topic) for topic in (*INPUTS, *TOPICS.values())})

    def _copy(self, topic: str) -> Topic:
        extent = self.world.broker.extent(topic, 0)
        return Topic(self.world.broker.read(topic, 0, extent.low, 1_000_000), extent.low, extent.high)


def load(shard: Shard, *models: str) -> None:
    """Ask for models."""
    for model in models:
        shard.submit("ModelLoadRequested", {"model": model, "generation": 1, "spec": {"uri": "s3://x", **SPEC}})


def lived(machine: Any = None) -> Shard:
    """Return a shard with two epochs, every outcome, a poison record and several commits."""
    shard = Shard(machine)
    for replica in range(2):
        shard.submit("ServerReplicaConnected", {"server": "cpu", "replica": replica, "memory": 4 * GIBIBYTE}, high=True)
    load(shard, "iris", "churn", "income")
    shard.submit_raw(b"\xc3\x01 no event")
    shard.process()
    shard.submit("ModelReplicaLoaded", {"model": "iris", **PLACE})
    shard.submit("ModelReplicaLoaded", {"model": "iris", **PLACE})
    shard.submit("ModelReplicaLoaded", {"model": "ghost", **PLACE})
    load(shard, "No Name!")
    shard.submit("PolicyChanged", POLICY, high=True)
    shard.submit("ServerReplicaDisconnected", {"server": "cpu", "replica": 1}, high=True)
    shard.process()
    return shard

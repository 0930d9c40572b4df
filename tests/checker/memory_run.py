"""Artefacts of a real run of the engine, over the ports in memory: what an honest processor leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.cluster.machine import ClusterMachine
from processor.engine.announcements import OutputRecord
from processor.engine.inputs import Headers, Record, TopicFacts
from processor.engine.operator.adoption import adopt
from processor.engine.operator.moving import Move, move, plan_move
from processor.engine.parts import Parts
from processor.engine.values import Head, Identity
from processor.memory.broker import NewRecord
from processor.memory.cluster import MemoryCluster, Shard
from processor.memory.sink import RECORD_BYTES_MAX, MemorySink
from processor.memory.store import DEFAULT_CAPACITY, MemoryStore
from tests.checker.artefacts import Artefacts, RecordId, StoreDump, dead_letter, published
from tests.checker.reference import cluster_reference
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.engine.world import TOPICS, World

GIBIBYTE = 1 << 30
OUTPUT_ROLES = ("changes", "commits", "dead-letters")
SPEC = {"requirements": [], "memory": GIBIBYTE, "instances": 1, "server": "", "parameters": {}}


class BoundedSink(MemorySink):
    """Takes records up to a size that may be set."""

    bytes_max = RECORD_BYTES_MAX

    def record_bytes_max(self) -> int:
        return self.bytes_max

    def publish(self, records: Sequence[OutputRecord]) -> None:
        for record in records:
            size = len(record.key or b"") + len(record.value or b"")
            assert size <= self.bytes_max, f"{record.key!r} has {size} bytes of {self.bytes_max}"
        super().publish(records)


class MemoryRun:
    """One shard of the cluster domain over the ports in memory.

    `record_bytes_max` and `value_bytes_max` are what the next processor may publish and store.
    """

    sink_type: type[BoundedSink] = BoundedSink

    def __init__(self, *, batch_events_max: int = 3) -> None:
        self.reference = cluster_reference()
        self.record_bytes_max = RECORD_BYTES_MAX
        self.value_bytes_max = DEFAULT_CAPACITY.value_bytes_max
        self._world = World(batch_events_max=batch_events_max)
        self._gone: list[Record] = []
        self._acknowledged: list[RecordId] = []
        self._encoder = _encoder()

    def submit(self, event: str, data: Mapping[str, Any], *, high: bool = False) -> None:
        """Append an event to one of the inputs."""
        self.submit_raw(self.reference.schemas.encode(f"processor.events.{event}", data), high=high)

    def submit_json(self, event: str, data: Mapping[str, Any]) -> None:
        """Append an event as JSON, in which what has a default may be left out."""
        headers = (("content-type", b"application/json"), ("ce_type", event.encode()))
        self.submit_raw(msgspec.json.encode(data), headers=headers)

    def submit_raw(
        self, value: bytes | None, *, high: bool = False, headers: Headers = (("ce_source", b"/test"),)
    ) -> None:
        """Append whatever bytes."""
        topic = "high" if high else "normal"
        offset = self._world.broker.append(NewRecord(topic, 0, b"cluster", value, headers))
        self._acknowledged.append((topic, 0, offset))

    def process(self, *, after_first: Callable[[], object] = lambda: None) -> None:
        """Let one processor, the next epoch, take all that waits, publish and leave.

        `after_first` is called once its first commit is known.
        """
        calls = iter([after_first])
        self._world.run(self._parts(middleware=(lambda _: next(calls, lambda: None)(),)))

    def _parts(self, **changes: Any) -> Parts:
        sink = self.sink_type(self._world.broker, TOPICS, 0, "app-0")  # type: ignore[arg-type]
        sink.bytes_max = self.record_bytes_max
        capacity = msgspec.structs.replace(self._world.capacity, value_bytes_max=self.value_bytes_max)
        return self._world.parts(
            sink=sink,
            store=MemoryStore(self._world.cluster, 0, capacity),
            machine=ClusterMachine(),
            decoder=self.reference.decoder,
            encoder=self._encoder,
            identity=Identity("app", 0, "cluster", ClusterMachine.version),
            **changes,
        )

    def artefacts(self) -> Artefacts:
        """Return what stands in the topics and in the store."""
        inputs = (*self._gone, *self._read("high"), *self._read("normal"))
        schemas = self.reference.schemas
        snapshot = MemoryStore(self._world.cluster, 0).load()
        return Artefacts(
            inputs=inputs,
            commits=tuple(published(record, schemas) for record in self._world.output("commits")),
            changes=tuple(published(record, schemas) for record in self._world.output("changes")),
            dead_letters=tuple(dead_letter(record) for record in self._world.output("dead-letters")),
            store=StoreDump(msgspec.json.decode(msgspec.json.encode(snapshot.head)), dict(snapshot.entities)),
            acknowledged=tuple(self._acknowledged),
            raw=tuple(record for role in OUTPUT_ROLES for record in self._world.output(role)),
        )

    def cut(self, low: int) -> None:
        """Delete the normal records below an offset, read or not, as retention does."""
        position = _head(self._world.cluster).positions["normal"][0]
        self._gone += [record for record in self._read("normal") if record.offset < min(low, position)]
        self._world.broker.trim("normal", 0, low)

    def go_on_at(self, offset: int) -> None:
        """Move the normal position, as `shards accept-gap` and `offsets reset` do."""

        def plan(head: Head, facts: TopicFacts) -> Move:
            return plan_move(head, facts, {("normal", 0): offset}, topics=("normal",))

        move(self._parts(), plan, action="test", by="test")

    def edit(self, key: str, data: Mapping[str, Any], *, told: bool) -> None:
        """Change an entity as a person with a tool does; `told`: with the head."""
        value = self.reference.schemas.encode(f"processor.state.{key.partition('/')[0].capitalize()}", data)

        def change(keys: Shard, revision: int) -> None:
            keys.put_entity(key, value, revision)
            if told and keys.head is not None:
                keys.put_head(msgspec.structs.replace(keys.head, commit_id="by hand"), revision)

        self._world.cluster.write(0, lambda _: True, change)

    def entity(self, key: str) -> dict[str, Any]:
        """Return an entity as it is stored."""
        return self.reference.schemas.decode(dict(MemoryStore(self._world.cluster, 0).load().entities)[key])[1]

    def adopt(self) -> None:
        """Accept what was edited behind the head's back."""
        adopt(self._parts())

    def _read(self, topic: str) -> list[Record]:
        return self._world.broker.read(topic, 0, self._world.broker.extent(topic, 0).low, 1_000_000)


@cache
def _encoder() -> AvroEncoder:
    return AvroEncoder(Catalogue.load(SCHEMAS_DIRECTORY), ClusterMachine.entity_types)


def honest_run() -> Artefacts:
    """Return the artefacts of a run with two epochs, every outcome, a poison record and several commits."""
    run = MemoryRun()
    for replica in range(2):
        run.submit("ServerReplicaConnected", {"server": "cpu", "replica": replica, "memory": 4 * GIBIBYTE}, high=True)
    for model in ("iris", "churn", "income"):
        run.submit("ModelLoadRequested", {"model": model, "generation": 1, "spec": {"uri": "s3://x", **SPEC}})
    run.submit_raw(b"\xc3\x01 no event")
    run.process()
    place = {"version": 1, "server": "cpu", "replica": 0}
    run.submit("ModelReplicaLoaded", {"model": "iris", **place, "available_memory": 3 * GIBIBYTE})
    run.submit("ModelReplicaLoaded", {"model": "iris", **place, "available_memory": 3 * GIBIBYTE})
    run.submit("ModelReplicaLoaded", {"model": "ghost", **place, "available_memory": 0})
    run.submit("ModelLoadRequested", {"model": "No Name!", "generation": 1, "spec": {"uri": "s3://x", **SPEC}})
    run.submit("PolicyChanged", POLICY, high=True)
    run.submit("ServerReplicaDisconnected", {"server": "cpu", "replica": 1}, high=True)
    run.process()
    return run.artefacts()


def mended_run() -> Artefacts:
    """Return the artefacts of a run that was repaired, adopted, whose inputs had a hole, and that went back."""
    run = MemoryRun()
    for number in range(4):
        run.submit("ModelLoadRequested", {"model": f"m{number}", "generation": 1, "spec": {"uri": "s3://x", **SPEC}})
    run.process(after_first=lambda: run.edit("model/m0", _since(7, run.entity("model/m0")), told=True))
    run.edit("model/m1", _since(8, run.entity("model/m1")), told=False)
    run.adopt()
    for number in range(4, 9):
        run.submit("ModelLoadRequested", {"model": f"m{number}", "generation": 1, "spec": {"uri": "s3://x", **SPEC}})
    run.cut(6)
    run.go_on_at(6)
    run.process()
    run.go_on_at(7)
    run.process()
    return run.artefacts()


POLICY = {
    "retry_interval_ms": 3000,
    "retry_limit": 3,
    "tombstone_ttl_ms": 8000,
    "scale_down_stabilisation_ms": 2000,
    "model_autoscaling": True,
    "server_autoscaling": True,
    "pack_servers": False,
}


def _head(cluster: MemoryCluster) -> Head:
    head = MemoryStore(cluster, 0).load().head
    assert head is not None
    return head


def _since(at_ms: int, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model whose status is as old as somebody wants it to be."""
    return {**model, "versions": [{**version, "status_since_ms": at_ms} for version in model["versions"]]}

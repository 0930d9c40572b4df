"""Artefacts of a real run of the engine, over the ports in memory: what an honest processor leaves behind."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.cluster.machine import ClusterMachine
from processor.engine.compose import Identity
from processor.engine.values import Record
from processor.memory.broker import NewRecord
from processor.memory.store import MemoryStore
from tests.checker.artefacts import Artefacts, StoreDump, dead_letter, place_of, published
from tests.checker.reference import cluster_reference
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.engine.world import World

GIBIBYTE = 1 << 30
SPEC = {"requirements": [], "memory": GIBIBYTE, "instances": 1, "server": "", "parameters": {}}


class MemoryRun:
    """One shard of the cluster domain over the ports in memory."""

    def __init__(self) -> None:
        self.reference = cluster_reference()
        self._world = World(batch_events_max=3)
        self._encoder = AvroEncoder(Catalogue.load(SCHEMAS_DIRECTORY), ClusterMachine.entity_types)

    def submit(self, event: str, data: Mapping[str, Any], *, high: bool = False) -> None:
        """Append an event to one of the inputs."""
        self.submit_raw(self.reference.schemas.encode(f"processor.events.{event}", data), high=high)

    def submit_raw(self, value: bytes | None, *, high: bool = False) -> None:
        """Append whatever bytes."""
        headers = (("ce_source", b"/test"),)
        self._world.broker.append(NewRecord("high" if high else "normal", 0, b"cluster", value, headers))

    def process(self) -> None:
        """Let one processor, the next epoch, take all that waits, publish and leave."""
        parts = self._world.parts(
            machine=ClusterMachine(),
            decoder=self.reference.decoder,
            encoder=self._encoder,
            identity=Identity("app", 0, "cluster", ClusterMachine.version),
        )
        self._world.run(parts)

    def artefacts(self) -> Artefacts:
        """Return what stands in the topics and in the store."""
        inputs = (*self._read("high"), *self._read("normal"))
        schemas = self.reference.schemas
        snapshot = MemoryStore(self._world.cluster, 0).load()
        return Artefacts(
            inputs=inputs,
            commits=tuple(published(record, schemas) for record in self._world.output("commits")),
            changes=tuple(published(record, schemas) for record in self._world.output("changes")),
            dead_letters=tuple(dead_letter(record) for record in self._world.output("dead-letters")),
            store=StoreDump(msgspec.json.decode(msgspec.json.encode(snapshot.head)), dict(snapshot.entities)),
            acknowledged=tuple(place_of(record) for record in inputs),
        )

    def _read(self, topic: str) -> list[Record]:
        return self._world.broker.read(topic, 0, 0, 1_000_000)


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


POLICY = {
    "retry_interval_ms": 3000,
    "retry_limit": 3,
    "tombstone_ttl_ms": 8000,
    "scale_down_stabilisation_ms": 2000,
    "model_autoscaling": True,
    "server_autoscaling": True,
    "pack_servers": False,
}

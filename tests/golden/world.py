"""One processor of the cluster domain on the keys that etcd would hold, so that these can be kept and put back."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.avro.decoder import AvroEventDecoder
from processor.avro.records import RecordCodec
from processor.cluster.event_parsing import InvalidEvent, parse_event
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.parts import Parts
from processor.engine.values import Attempts, Head, Identity, Snapshot
from processor.etcd import requests
from processor.etcd.layout import Owner, ShardKeys, decode_head, encode_attempts, encode_owner
from processor.etcd.store import EtcdStore
from processor.memory.broker import NewRecord, _Topic
from tests.engine.world import World
from tests.etcd.etcd_fake import FakeEtcd

CATALOGUE = Catalogue.load(PROJECT_DIRECTORY / "schemas")
KEYS = ShardKeys("/processor", "app", 0)
OWNER = encode_owner(Owner("one", "host", 1, 0))

Dump = Mapping[str, str]
"""Key below the shard's prefix → value in base64."""
Line = Mapping[str, Any]
"""`type`, `at_ms` and `data` of an event."""


class KeyOwnership:
    """The owner key without a lease."""

    def __init__(self, etcd: FakeEtcd) -> None:
        self._etcd = etcd

    def campaign(self) -> int | None:
        self._etcd.transact(requests.transaction((), (requests.put(KEYS.owner, OWNER),)))
        return int(self._etcd.keys[KEYS.owner].create_revision)

    def verify(self, epoch: int) -> bool:
        return KEYS.owner in self._etcd.keys and self._etcd.keys[KEYS.owner].create_revision == epoch

    def alive(self) -> bool:
        return KEYS.owner in self._etcd.keys

    def release(self, epoch: int, *, clean: bool) -> None:
        del epoch, self._etcd.keys[KEYS.owner]
        if clean:
            put = requests.put(KEYS.attempts, encode_attempts(Attempts(clean=True)))
            self._etcd.transact(requests.transaction((), (put,)))

    def close(self) -> None:
        pass


class Release(msgspec.Struct, frozen=True):
    """What stands in for a release: its state machine and its schemas."""

    machine: Any
    catalogue: Catalogue

    @property
    def encoder(self) -> AvroEncoder:
        return AvroEncoder(self.catalogue, self.machine.entity_types)


CURRENT = Release(ClusterMachine(), CATALOGUE)


class GoldenWorld(World):
    """Starts empty, or on what `dump` gave; the input is one lane, so that its order is the order of the events."""

    def __init__(self, dump: Dump | None = None, *, batch_events_max: int = 7) -> None:
        super().__init__(batch_events_max=batch_events_max)
        self.etcd = FakeEtcd()
        for name, topic in self.broker._topics.items():
            self.broker._topics[name] = _Topic(f"id-of-{name}", topic.partitions)
        for key, value in (dump or {}).items():
            self.etcd.transact(requests.transaction((), (requests.put(KEYS.root + key.encode(), b64decode(value)),)))

    def tell(self, lines: Iterable[Line]) -> None:
        records = RecordCodec(CATALOGUE)
        for line in lines:
            value = records.encode_record(CATALOGUE.require(f"processor.events.{line['type']}"), line["data"])
            self.broker.append(NewRecord("normal", 0, b"cluster", value, timestamp_ms=line["at_ms"]))

    def run_release(self, release: Release = CURRENT) -> None:
        """Process all that waits with this release, and hand over."""
        self.run(self.parts_of(release))

    def parts_of(self, release: Release) -> Parts:
        return self.parts(
            machine=release.machine,
            decoder=AvroEventDecoder(release.catalogue, parse_event, InvalidEvent),
            encoder=release.encoder,
            store=EtcdStore(self.etcd, KEYS),  # type: ignore[arg-type]
            ownership=KeyOwnership(self.etcd),
            identity=Identity("app", 0, "cluster", release.machine.version),
        )

    def dump(self) -> Dump:
        found = {key[len(KEYS.root) :].decode(): kv.value for key, kv in self.etcd.keys.items()}
        return {key: b64encode(found[key]).decode() for key in sorted(found)}

    def snapshot(self) -> Snapshot:
        return EtcdStore(self.etcd, KEYS).load()  # type: ignore[arg-type]

    def published(self, role: str, release: Release = CURRENT) -> list[dict[str, Any]]:
        """Return the records of a topic as plain data."""
        records = RecordCodec(release.catalogue)
        return [records.decode_record(record.value or b"")[1] for record in self.output(role)]


class Golden(msgspec.Struct, frozen=True):
    """What a release left: the events it was told, the digest after each, and then its keys in etcd."""

    lines: tuple[Line, ...]
    digests: tuple[str, ...]
    dump: Dump

    @property
    def head(self) -> Head:
        return decode_head(b64decode(self.dump["head"]))

    def write(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "events.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in self.lines))
        (directory / "digests.txt").write_text("".join(f"{digest}\n" for digest in self.digests))
        (directory / "store.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.dump)) + b"\n")

    @classmethod
    def read(cls, directory: Path) -> "Golden":
        lines = [msgspec.json.decode(line) for line in (directory / "events.jsonl").read_bytes().splitlines()]
        digests = (directory / "digests.txt").read_text().split()
        return cls(tuple(lines), tuple(digests), msgspec.json.decode((directory / "store.json").read_bytes()))

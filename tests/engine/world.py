"""The engine over the ports in memory, with the device twins as its state machine and JSON as its encoding."""

from collections.abc import Callable
from typing import Any

import msgspec

from examples.device_twins.machine import Device, DeviceTwins, InvalidEvent, parse_event
from processor.engine.announcements import Announcement, ChangeSource, CommitRecord, EventRejection
from processor.engine.health import ShardStatus
from processor.engine.inputs import Accepted, Cause, Decoded, Invalid, Record, Undecodable
from processor.engine.limits import Capacity, Limits
from processor.engine.machine import Change
from processor.engine.parts import Callbacks, Parts
from processor.engine.reports import StepReport
from processor.engine.shard import ShardRunner
from processor.engine.values import Head, Identity, Snapshot
from processor.memory.broker import MemoryBroker, NewRecord
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryOwnership
from processor.memory.sink import MemorySink
from processor.memory.source import MemorySource
from processor.memory.store import MemoryStore

TOPICS = {"changes": "changes", "commits": "commits", "dead-letters": "dead-letters"}


class ManualClock:
    """Time that moves only when somebody sleeps or the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic_s(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class ManualSource(MemorySource):
    """Waits by moving the clock."""

    def __init__(self, clock: ManualClock, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._clock = clock

    def wait(self, timeout_ms: int) -> None:
        self._clock.sleep(timeout_ms / 1000)


class JsonCodec:
    """Both codec ports, readable in a failing test: a prefix byte and JSON."""

    def identify(self, record: Record) -> Undecodable:
        cause = Cause(record.topic, record.partition, record.offset, f"{record.topic}-{record.offset}", "unknown")
        return Undecodable(cause, "", "")

    def decode_event(self, record: Record) -> Decoded:
        cause = self.identify(record).cause
        try:
            type_name, data = msgspec.json.decode(record.value or b"")
        except (msgspec.DecodeError, ValueError) as error:
            return Undecodable(cause, "undecodable", str(error), type(error).__name__)
        try:
            return Accepted(cause, parse_event(type_name, record.timestamp_ms, data))
        except InvalidEvent as error:
            return Invalid(cause, str(error))

    def encode(self, key: str, entity: Any) -> bytes:
        del key
        return b"J" + msgspec.json.encode(entity)

    def size_bound(self, key: str, entity: Any) -> int:
        return len(self.encode(key, entity))

    def growth_bound(self, key: str, old: Any, new: Any) -> int:
        del old
        return self.size_bound(key, new)

    def decode(self, key: str, value: bytes) -> Any:
        del key
        return msgspec.json.decode(value[1:], type=Device)

    def is_current(self, key: str, value: bytes) -> bool:
        del key
        return value.startswith(b"J")

    def body(self, value: bytes) -> bytes:
        return value[1:]

    def change(
        self, change: Change, *, before: bytes | None, after: bytes | None, source: ChangeSource, ts_ms: int
    ) -> Announcement:
        del ts_ms
        parts = [change.op, before and before[1:].decode(), after and after[1:].decode(), source]
        return Announcement(change.key, "DeviceChanged", msgspec.json.encode(parts))

    def rejection(self, rejection: EventRejection, *, source: ChangeSource, ts_ms: int) -> Announcement:
        del ts_ms
        body = msgspec.json.encode([rejection.code, source])
        return Announcement(f"rejected/{rejection.cause.event_id}", "EventRejected", body)

    def commit(self, record: CommitRecord) -> bytes:
        return msgspec.msgpack.encode(record)


class EventCodec:
    """The decoder port of `JsonCodec`: the two ports name different methods alike."""

    def __init__(self, codec: JsonCodec) -> None:
        self.decode = codec.decode_event
        self.identify = codec.identify


class World:
    """One broker, one store, and as many processors as a test makes."""

    def __init__(
        self, *, capacity: Capacity | None = None, speculate: bool = False, background: bool = False, **limits: Any
    ) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock.now_ms)
        for topic in ("high", "normal", *TOPICS.values()):
            self.broker.create_topic(topic)
        self.cluster = MemoryCluster()
        self.capacity = capacity or Capacity(entities_max=100, bytes_max=1 << 20)
        self.limits = Limits(**limits)
        self.speculate = speculate
        self.background = background
        self.reports: list[StepReport] = []
        self.log: list[tuple[str, dict[str, Any]]] = []

    def submit(self, type_name: str, *, high: bool = False, **data: Any) -> None:
        self.submit_raw(msgspec.json.encode([type_name, data]), high=high)

    def submit_raw(self, value: bytes | None, *, high: bool = False) -> None:
        self.broker.append(NewRecord("high" if high else "normal", 0, None, value))

    def parts(self, name: str = "one", **changes: Any) -> Parts:
        codec = JsonCodec()
        made = Parts(
            machine=DeviceTwins(),
            decoder=EventCodec(codec),
            encoder=codec,
            store=MemoryStore(self.cluster, 0, self.capacity),
            source=ManualSource(self.clock, self.broker, {"high": "high", "normal": "normal"}, list(TOPICS.values())),
            sink=MemorySink(self.broker, TOPICS, 0, "app-0"),  # type: ignore[arg-type]
            ownership=MemoryOwnership(self.cluster, 0, name),
            clock=self.clock,
            identity=Identity("app", 0, "cluster", DeviceTwins.version),
            limits=self.limits,
            speculate=self.speculate,
            announce_in_background=self.background,
        )
        callbacks: dict[str, Any] = {
            "middleware": (self.reports.append,),
            "log": lambda event, **fields: self.log.append((event, fields)),
        }
        callbacks |= {name: changes.pop(name) for name in Callbacks.__struct_fields__ if name in changes}
        return msgspec.structs.replace(made, callbacks=Callbacks(**callbacks), **changes)

    def runner(self, parts: Parts | None = None, *, stopping: Callable[[], bool] = lambda: False) -> ShardRunner:
        return ShardRunner(parts or self.parts(), status=ShardStatus(0), stopping=stopping, once=True)

    def run(self, parts: Parts | None = None) -> ShardRunner:
        """Process all that waits, hand over, and return the runner."""
        runner = self.runner(parts)
        runner.run()
        return runner

    @property
    def refusals(self) -> list[str]:
        """Why the shard was refused, each time."""
        return [str(fields["reason"]) for event, fields in self.log if event == "shard_refused"]

    def output(self, role: str) -> list[Record]:
        """Return what a read_committed consumer sees."""
        return self.broker.read(TOPICS[role], 0, self.broker.extent(TOPICS[role], 0).low, 1_000_000)

    def commits(self) -> list[CommitRecord]:
        return [msgspec.msgpack.decode(record.value or b"", type=CommitRecord) for record in self.output("commits")]

    def numbers(self) -> list[int]:
        return [int(dict(record.headers)["processor-number"] or b"-1") for record in self.output("changes")]

    def stored(self) -> Snapshot:
        return MemoryStore(self.cluster, 0).load()

    @property
    def head(self) -> Head:
        """The head as the store has it; there is one once a processor has run."""
        head = self.stored().head
        assert head is not None
        return head

    def devices(self) -> dict[str, int]:
        """Return name → reading as the store has it."""
        decoded = [JsonCodec().decode(key, value) for key, value in self.stored().entities]
        return {device.name: device.reading for device in decoded}

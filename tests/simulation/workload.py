"""The input records of a run: readings of a few devices, on both lanes, by producers who come and go."""

from collections.abc import Callable
from random import Random

import msgspec

from examples.device_twins.machine import DeviceTwins, Event, Rejected, Twins
from processor.memory.broker import NewRecord
from tests.simulation.output import OutputBroker
from tests.simulation.process import Process, Stage
from tests.simulation.scheduler import Ended

DEVICES = ("a", "b", "c", "d", "e")
RAISES, KILLS, TOO_LARGE = "raises", "kills", "w" * 250
UNDECODABLE = b"\xff no json "


class FragileTwins(DeviceTwins):
    """The device twins with an event that they have a bug for, and one that no process survives."""

    def __init__(self, process: Process, version: int) -> None:
        self.version = version
        self._process = process

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        """Reduce one event."""
        if event.device == RAISES:
            raise RuntimeError("a bug in the state machine")
        if event.device == KILLS:
            self._process.kill("is killed by a record")
            raise Ended
        return super().apply(state, event)


class Workload:
    """Appends `records` records within `duration_ms`, and a few that make a difference whenever asked to."""

    def __init__(self, stage: Stage, broker: OutputBroker, chance: Random) -> None:
        self._stage = stage
        self._broker = broker
        self._chance = chance
        self._producers = 0
        self._readings = 0

    def begin(self, *, records: int, duration_ms: float) -> None:
        """Let producers append over time: some one by one, some in transactions."""
        while records > 0:
            size = 1 if self._chance.random() < 0.8 else self._chance.randint(1, 5)
            topic = self._chance.choice(("high", "normal", "normal"))
            values = [self._value() for _ in range(size)]
            self._stage.scheduler.after(self._chance.uniform(0, duration_ms), self._producer(topic, values))
            records -= size
        for moment_ms in self._stage.faults.moments("aborted input", duration_ms=duration_ms):
            self._stage.scheduler.after(moment_ms, self._aborting)

    def difference(self, topic: str) -> None:
        """Append a record that changes the state."""
        self._readings += 1
        self._append(topic, _reported("last", 1000 + self._readings))

    def _producer(self, topic: str, values: list[bytes]) -> Callable[[], None]:
        def produce() -> None:
            if len(values) == 1:
                self._append(topic, values[0])
            else:
                self._transact(topic, values, committed=True)

        return produce

    def _aborting(self) -> None:
        self._stage.faults.note("aborted input")
        self._transact(self._chance.choice(("high", "normal")), [_reported("never", 1)] * 2, committed=False)

    def _transact(self, topic: str, values: list[bytes], *, committed: bool) -> None:
        self._producers += 1
        name = f"producer-{self._producers}"
        epoch = self._broker.register(name)
        self._broker.write(name, epoch, [NewRecord(topic, 0, None, value) for value in values])
        self._stage.tell(name, f"has {len(values)} records of {topic} in an open transaction")

        def end() -> None:
            if committed:
                self._broker.commit(name, epoch)
            else:
                self._broker.abort(name, epoch)
            self._stage.tell(name, "commits" if committed else "! aborts")

        self._stage.scheduler.after(self._chance.uniform(0, 400), end)

    def _append(self, topic: str, value: bytes) -> None:
        offset = self._broker.append(NewRecord(topic, 0, None, value))
        self._stage.tell("producer", f"{topic}-{offset} is {value[:60]!r}")

    def _value(self) -> bytes:
        faults, chance = self._stage.faults, self._chance
        device, kind = chance.choice(DEVICES), chance.random()
        reading = chance.randint(0, 2)
        if faults.spoils("undecodable record"):
            return UNDECODABLE + str(chance.random()).encode()
        if faults.spoils("invalid record"):
            return msgspec.json.encode(["DeviceReported", {"device": device, "reading": "high"}])
        for fault, spoilt in (
            ("record that raises", RAISES),
            ("record too large to announce", TOO_LARGE),
            ("record that kills", KILLS),
        ):
            if faults.spoils(fault):
                device, kind = spoilt, 1.0
        if kind < 0.15:
            return msgspec.json.encode(["DeviceRetired", {"device": device}])
        return _reported(device, reading)


def _reported(device: str, reading: int) -> bytes:
    return msgspec.json.encode(["DeviceReported", {"device": device, "reading": reading}])

"""Whoever reads the state and its seq and goes on with the announcements behind that ends where the processor does."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import msgspec

from processor.engine.health import Health, ShardStatus
from processor.engine.shard import ShardRunner
from processor.service.api import ApiSources, respond
from tests.engine.world import World
from tests.waiting import wait_until

READS = 10


class Loaded:
    """A shard that commits whenever a reader is in the middle of something: before, between and after its reads."""

    def __init__(self) -> None:
        self.world = World()
        self.status = ShardStatus(0)
        self._readings = count()

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        runner = ShardRunner(self.world.parts(), status=self.status, stopping=stop.is_set)
        thread = threading.Thread(target=runner.run, daemon=True)
        thread.start()
        try:
            wait_until(lambda: self.status.health.phase == "owner", what="the shard is owned")
            yield
        finally:
            stop.set()
            thread.join()

    def commit(self) -> None:
        """Change a device, and wait until that is committed."""
        reading, before = next(self._readings), len(self.world.reports)
        self.world.submit("DeviceReported", device=f"d{reading % 3}", reading=reading)
        wait_until(lambda: len(self.world.reports) > before, what="one more commit")

    def health(self) -> tuple[Health, ...]:
        self.commit()
        health = self.status.health
        self.commit()
        return (health,)

    def document(self, state: Any) -> Mapping[str, Any]:
        self.commit()
        return {"devices": {name: device.reading for name, device in state.devices.items()}}

    def announced_after(self, seq: int) -> Iterator[tuple[str, int]]:
        """Yield device and reading of each announcement behind a commit."""
        for record in self.world.output("changes"):
            _, _, after, source = msgspec.json.decode(record.value or b"")
            if source["seq"] > seq:
                device = json.loads(after)
                yield device["name"], device["reading"]


def _sources(loaded: Loaded) -> ApiSources:
    return ApiSources(
        app="app",
        instance="one",
        clusters=("cluster",),
        health=loaded.health,
        document=loaded.document,
        metrics=lambda: b"",
        now_s=loaded.world.clock.monotonic_s,
        now_ms=loaded.world.clock.now_ms,
    )


def test_a_client_that_goes_on_from_the_seq_of_the_state_loses_nothing() -> None:
    loaded = Loaded()
    with loaded.running():
        read = [json.loads(respond(_sources(loaded), "/api/v1/state").body) for _ in range(READS)]
    final = loaded.world.devices()
    assert len({told["seq"] for told in read}) == READS, "each read met another commit"
    for told in read:
        assert told["state"]["devices"] | dict(loaded.announced_after(told["seq"])) == final


def test_every_value_that_is_published_belongs_together() -> None:
    class Watched(ShardStatus):
        """Keeps each value that a reader could have seen."""

        seen: list[Health] = []  # noqa: RUF012 - one status a test

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name in {"health", "state"}:
                self.seen.append(self.health)

    world = World(batch_events_max=1)
    for reading in range(5):
        world.submit("DeviceReported", device="d", reading=reading)
    status = Watched(0)
    ShardRunner(world.parts(), status=status, stopping=lambda: False, once=True).run()
    readings = {health.seq: health.state.devices["d"].reading for health in status.seen if health.seq > 0}
    assert readings == {seq: seq - 1 for seq in range(1, 6)}
    for health in status.seen:
        assert (health.state is None) == (health.seq == -1) == (health.digest == "")

"""A read_committed consumer that notes when each record came."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition

from bench.peer import catalogue
from bench.place import Place
from processor.avro.records import RecordCodec
from processor.configuration.settings import Settings
from processor.engine.announcements import Role
from processor.kafka.consume import TUNED

BATCH = 1_000
POLL_S = 0.05


class Listener:
    """Listens to the topics from the beginning; `came` are (monotonic time, key, value) in order."""

    def __init__(self, place: Place, roles: Sequence[Role] = ("changes",)) -> None:
        self.came: list[tuple[float, bytes, bytes]] = []
        self._codec = RecordCodec(catalogue(Settings()))
        self._consumer = Consumer(
            {"bootstrap.servers": place.servers.kafka, "group.id": "listener", "enable.auto.commit": False, **TUNED}
        )
        self._consumer.assign([TopicPartition(place.topics[role], 0, 0) for role in roles])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def listen(self, until: Callable[[], bool], *, timeout_s: float) -> None:
        """Listen until it is so. Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"after {len(self.came)} announcements nothing more came in time")
            first = self._consumer.poll(POLL_S)
            if first is not None:
                messages = [first, *self._consumer.consume(BATCH, timeout=0)]
                now_s = time.monotonic()
                self.came += [(now_s, message.key(), message.value()) for message in messages if not message.error()]

    def readings(self) -> list[tuple[float, int]]:
        """Return when each came, and the reading that it told of: an event, or an announcement."""
        return [(came_s, _reading(self._codec.decode_record(value)[1])) for came_s, _, value in self.came]


def _reading(data: dict[str, Any]) -> int:
    reading: int = data["reading"] if "reading" in data else data["after"]["reading"]
    return reading

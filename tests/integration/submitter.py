"""A plain producer: what it sent, and where the broker put it."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, Producer

from processor.engine.inputs import Headers
from tests.checker.artefacts import RecordId
from tests.waiting import wait_until

FLUSH_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 120.0
MESSAGE_BYTES_MAX = 2_000_000
BURST_RECORDS = 20


@dataclass(frozen=True)
class Line:
    """A record to be sent; `lane` is high or normal."""

    lane: str
    value: bytes | None
    timestamp_ms: int
    headers: Headers = ()
    key: bytes | None = b"cluster"


class Submitter:
    """Sends lines to one partition of the inputs.

    `acknowledged` is in order of the acknowledgements, `acknowledged_ms` has the time of each.
    """

    def __init__(self, bootstrap: str, topics: dict[str, str], *, shard: int = 0) -> None:
        self._topics = topics
        self._partition = shard
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                "linger.ms": 0,
            }
        )
        self.acknowledged: list[RecordId] = []
        self.acknowledged_ms: dict[RecordId, int] = {}
        self.failures: list[str] = []

    def send(self, lines: Iterable[Line]) -> None:
        """Send lines and wait until all are acknowledged."""
        for line in lines:
            self._produce(line)
        assert self._producer.flush(FLUSH_TIMEOUT_S) == 0, "the broker does not acknowledge"
        assert not self.failures, self.failures[:5]

    def _produce(self, line: Line) -> None:
        self._producer.produce(
            self._topics[line.lane],
            value=line.value,
            key=line.key,
            partition=self._partition,
            timestamp=line.timestamp_ms,
            headers=list(line.headers),
            on_delivery=self._delivered,
        )
        self._producer.poll(0)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            place = (message.topic(), message.partition(), message.offset())
            self.acknowledged.append(place)
            self.acknowledged_ms[place] = time.time_ns() // 1_000_000
        else:
            self.failures.append(str(KafkaException(error)))


class Traffic:
    """Lines sent in bursts by a thread of its own, at a rate, up to a limit that the test raises."""

    def __init__(self, submitter: Submitter, lines: Sequence[Line], *, records_per_s: float) -> None:
        self._submitter = submitter
        self._lines = lines
        self._pause_s = BURST_RECORDS / records_per_s
        self._limit = 0
        self._raised = threading.Condition()
        self._closed = threading.Event()
        self._failure: AssertionError | None = None
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def allow(self, count: int) -> None:
        """Let the first `count` lines be sent."""
        with self._raised:
            self._limit = min(count, len(self._lines))
            self._raised.notify_all()

    def wait_until_sent(self, count: int) -> None:
        """Wait until so many are acknowledged; raises what went wrong in the thread."""

        def is_sent() -> bool:
            if self._failure is not None:
                raise self._failure
            return self.sent >= count

        wait_until(is_sent, what=f"{count} records are sent", timeout_s=SEND_TIMEOUT_S)

    @property
    def total(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def close(self) -> None:
        """Stop sending; safe to call twice."""
        self._closed.set()
        with self._raised:
            self._raised.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self.sent < len(self._lines) and not self._closed.is_set():
            with self._raised:
                self._raised.wait_for(lambda: self._limit > self.sent or self._closed.is_set())
                end = min(self._limit, self.sent + BURST_RECORDS)
            try:
                self._submitter.send(self._lines[self.sent : end])
            except AssertionError as error:
                self._failure = error
                return
            self.sent = end
            self._closed.wait(self._pause_s)

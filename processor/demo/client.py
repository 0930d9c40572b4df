"""Announcements and events of the play on Kafka, through the public reader and producer."""

from collections.abc import Iterable
from time import monotonic

from processor.client.codec import DecodedRecord
from processor.consume import AnnouncementReader
from processor.demo.notices import Event, Garbage, Notice, notice_of
from processor.engine.outputs import CE_ID
from processor.produce import EventProducer

HEARD_AT_ONCE_MAX = 500
UNFLUSHED_MAX = 5000


class KafkaAnnouncements:
    """Reads the announcements of one shard; `heard` counts them, rejections included."""

    def __init__(self, reader: AnnouncementReader) -> None:
        self._reader = reader
        self.heard = 0

    def notices(self, timeout_s: float) -> Iterable[Notice]:
        """Return the changes announced since the last call; wait up to `timeout_s` for the first."""
        deadline_s = monotonic() + timeout_s
        notices: list[Notice] = []
        while len(notices) < HEARD_AT_ONCE_MAX:
            wait_s = 0.0 if notices else max(0.0, deadline_s - monotonic())
            received = self._reader.poll(wait_s)
            if received is None:
                break
            self.heard += 1
            notice = _notice(received.value)
            if notice is not None:
                notices.append(notice)
        return notices


class KafkaEventSender:
    """Sends events to one cluster; garbage goes to `garbage_topic`."""

    def __init__(self, producer: EventProducer, garbage_topic: str) -> None:
        self._producer = producer
        self._garbage_topic = garbage_topic
        self._unflushed = 0

    def send(self, event: Event, event_id: str) -> None:
        """Send an event to the topic of its lane."""
        self._producer.send(event.type, event.data, event_id=event_id)
        self._flush_now_and_then()

    def send_garbage(self, garbage: Garbage, event_id: str) -> None:
        """Send a record that is not an event."""
        self._producer.send_encoded(self._garbage_topic, garbage.value, ((CE_ID, event_id.encode()),))
        self._flush_now_and_then()

    def _flush_now_and_then(self) -> None:
        # the producer keeps every delivery report until flushed
        self._unflushed += 1
        if self._unflushed >= UNFLUSHED_MAX:
            self._producer.flush()
            self._unflushed = 0


def _notice(record: DecodedRecord) -> Notice | None:
    return notice_of(record.key or "", record.type, record.value)

from typing import Never

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from processor.engine.announcements import CHANGES, OutputRecord
from processor.engine.inputs import Record
from processor.kafka.records import produce_arguments, record_of


def test_a_message_becomes_a_record_with_everything_it_carries() -> None:
    message = Message(
        topic="topic",
        partition=2,
        offset=7,
        key=b"key",
        value=b"value",
        headers=[("a", b"1"), ("a", None)],
        timestamp=(TIMESTAMP_CREATE_TIME, 1234),
    )

    assert record_of(message) == Record("topic", 2, 7, 1234, b"key", b"value", (("a", b"1"), ("a", None)))


@pytest.mark.parametrize("timestamp", [(TIMESTAMP_NOT_AVAILABLE, 0), (TIMESTAMP_CREATE_TIME, -1)])
def test_a_message_without_a_time_has_minus_one(timestamp: tuple[int, int]) -> None:
    message = Message(topic="topic", partition=0, offset=0, timestamp=timestamp)

    assert record_of(message) == Record("topic", 0, 0, -1, None, None, ())


def test_headers_that_the_library_cannot_return_are_left_out() -> None:
    class Unreadable(Message):  # type: ignore[misc] # the base is untyped
        """What a consumer returns when a header's name is not UTF-8."""

        def headers(self) -> Never:
            raise SystemError("returned a result with an exception set")

    assert record_of(Unreadable(topic="topic", partition=0, offset=5, value=b"v", timestamp=(1, 1))) == Record(
        "topic", 0, 5, 1, None, b"v", ()
    )


def test_an_output_record_goes_to_the_partition_given() -> None:
    record = OutputRecord(CHANGES, b"key", None, (("a", b"1"), ("b", None)))

    assert produce_arguments(record, "changes", 3) == {
        "topic": "changes",
        "partition": 3,
        "key": b"key",
        "value": None,
        "headers": [("a", b"1"), ("b", None)],
    }

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from processor.engine.errors import InvalidRequest, SinkUnavailable
from processor.engine.inputs import Headers
from processor.kafka.connection import KafkaConnection
from processor.kafka.embedded import EmbeddedKafka
from processor.kafka.produce import RECORD_BYTES_MAX, Delivery, EventProducer
from tests.contracts.broker_world import KafkaWorld

TYPE = (("content-type", b"application/json"),)


def encode(event_type: str, data: Mapping[str, Any]) -> tuple[bytes, Headers]:
    if not data:
        raise ValueError("no data")
    return json.dumps(data).encode(), (*TYPE, ("ce_type", event_type.encode()))


def producer(connection: KafkaConnection, prefix: str = "", partition: int = 0) -> EventProducer:
    return EventProducer(
        connection, encode, lambda event_type: f"{prefix}{event_type}", partition=partition, key=b"cluster"
    )


def test_events_arrive_addressed_framed_and_timed(world: KafkaWorld, namespace: str) -> None:
    with producer(world.connection, f"{namespace}-") as events:
        events.send("high", {"n": 1}, at_ms=1_700_000_000_000, event_id="an id")
        events.send("normal", {"n": 2}, headers=(("traceparent", b"00"), ("ce_type", b"another")))
        events.send("high", {"n": 3})
        deliveries = events.flush()

    assert deliveries == [
        Delivery(world.topics.high, 0, 0),
        Delivery(world.topics.normal, 0, 0),
        Delivery(world.topics.high, 0, 1),
    ]
    first, second = world.committed(world.topics.high)
    assert (first.key, first.value, first.timestamp_ms) == (b"cluster", b'{"n": 1}', 1_700_000_000_000)
    assert first.headers == (*TYPE, ("ce_type", b"high"), ("ce_id", b"an id"))
    assert second.headers == (*TYPE, ("ce_type", b"high"))
    (third,) = world.committed(world.topics.normal)
    assert dict(third.headers) == dict((*TYPE, ("traceparent", b"00"), ("ce_type", b"normal"))), "ours are the last"
    assert second.timestamp_ms > first.timestamp_ms


def test_the_partition_is_the_clusters(world: KafkaWorld, namespace: str) -> None:
    events = producer(world.connection, f"{namespace}-", partition=1)
    future = events.send("normal", {"n": 1})

    assert events.flush() == [Delivery(world.topics.normal, 1, 0)]
    assert future.result(0).partition == 1
    events.close()


def test_data_that_do_not_encode_are_not_sent() -> None:
    with EmbeddedKafka() as embedded, producer(embedded.connection()) as events:
        with pytest.raises(ValueError, match="no data"):
            events.send("normal", {})
        assert events.flush() == []


@pytest.mark.parametrize("at_ms", [0, -1])
def test_a_time_that_a_record_cannot_carry_is_refused(at_ms: int) -> None:
    with (
        EmbeddedKafka() as embedded,
        producer(embedded.connection()) as events,
        pytest.raises(InvalidRequest, match="at_ms"),
    ):
        events.send("normal", {"n": 1}, at_ms=at_ms)


def test_an_event_that_no_topic_takes_is_refused_at_once() -> None:
    with EmbeddedKafka() as embedded, producer(embedded.connection()) as events:
        with pytest.raises(InvalidRequest, match="larger than"):
            events.send("normal", {"n": "x" * RECORD_BYTES_MAX})
        assert events.flush() == []


def test_an_event_that_its_topic_does_not_take_is_refused_by_the_broker(world: KafkaWorld, namespace: str) -> None:
    events = producer(world.connection, f"{namespace}-")
    events.send("normal", {"n": Random(1).randbytes(1_500_000).hex()})
    with pytest.raises(InvalidRequest, match="larger than its topic takes"):
        events.flush()
    events.close()


def test_events_without_an_acknowledgement_are_told() -> None:
    events = producer(KafkaConnection("127.0.0.1:1"))
    future = events.send("normal", {"n": 1})

    with pytest.raises(SinkUnavailable, match="1 events were not acknowledged"):
        events.flush(timeout_s=0.2)

    assert not future.done()
    events.close()


def test_a_failed_event_tells_its_own_fate_and_stops_no_other(world: KafkaWorld, namespace: str) -> None:
    connection = KafkaConnection(world.connection.bootstrap_servers, {"message.timeout.ms": 500})
    events = producer(connection, f"{namespace}-")
    bad = events.send("missing", {"n": 1})
    good = events.send("high", {"n": 2})

    with pytest.raises(SinkUnavailable, match="not written"):
        events.flush()

    assert isinstance(bad.exception(0), SinkUnavailable)
    assert good.result(0) == Delivery(world.topics.high, 0, 0)
    events.close()

from threading import Thread

import pytest

from processor.memory.broker import FencedError, MemoryBroker, NewRecord, OffsetOutOfRangeError, UnknownTopicError
from processor.memory.log import PartitionOffsets


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(now_ms=lambda: 42)
    broker.create_topic("one")
    broker.create_topic("two")
    return broker


def record(topic: str, value: bytes) -> NewRecord:
    return NewRecord(topic, 0, None, value)


def values(broker: MemoryBroker, topic: str) -> list[bytes | None]:
    return [item.value for item in broker.read(topic, 0, broker.extent(topic, 0).low, 100)]


def test_a_record_gets_its_offset_and_time(broker: MemoryBroker) -> None:
    assert [broker.append(record("one", b"a")), broker.append(record("one", b"b"))] == [0, 1]
    assert [(item.offset, item.timestamp_ms) for item in broker.read("one", 0, 0, 9)] == [(0, 42), (1, 42)]


def test_a_transaction_appears_everywhere_at_once_and_costs_each_partition_an_offset(broker: MemoryBroker) -> None:
    epoch = broker.register("writer")
    broker.write("writer", epoch, [record("one", b"a"), record("two", b"b"), record("one", b"c")])
    assert (values(broker, "one"), values(broker, "two")) == ([], [])
    assert broker.extent("one", 0) == PartitionOffsets(low=0, stable=0, high=2)

    broker.commit("writer", epoch)

    assert (values(broker, "one"), values(broker, "two")) == ([b"a", b"c"], [b"b"])
    assert broker.extent("one", 0) == PartitionOffsets(low=0, stable=3, high=3)


def test_the_first_open_transaction_decides_what_is_stable(broker: MemoryBroker) -> None:
    first, second = broker.register("first"), broker.register("second")
    broker.append(record("one", b"a"))
    broker.write("second", second, [record("one", b"b")])
    broker.write("first", first, [record("one", b"c")])

    broker.commit("first", first)
    assert broker.extent("one", 0) == PartitionOffsets(low=0, stable=1, high=4)
    broker.abort("second", second)

    assert values(broker, "one") == [b"a", b"c"]
    assert broker.last("one", 0) == broker.read("one", 0, 2, 1)[0]


def test_registering_again_aborts_what_was_open_and_fences(broker: MemoryBroker) -> None:
    old = broker.register("writer")
    broker.write("writer", old, [record("one", b"a")])
    young = broker.register("writer")

    with pytest.raises(FencedError):
        broker.write("writer", old, [record("one", b"b")])
    with pytest.raises(FencedError):
        broker.commit("writer", old)
    with pytest.raises(FencedError):
        broker.abort("writer", old)
    broker.write("writer", young, [record("one", b"c")])
    broker.commit("writer", young)

    assert values(broker, "one") == [b"c"]


def test_retention_raises_the_low_watermark_and_moves_no_offset(broker: MemoryBroker) -> None:
    for value in (b"a", b"b", b"c"):
        broker.append(record("one", value))
    broker.trim("one", 0, 2)

    assert broker.extent("one", 0) == PartitionOffsets(low=2, stable=3, high=3)
    assert [(item.offset, item.value) for item in broker.read("one", 0, 2, 9)] == [(2, b"c")]
    for offset in (1, 4):
        with pytest.raises(OffsetOutOfRangeError):
            broker.read("one", 0, offset, 1)


def test_what_does_not_exist_is_named(broker: MemoryBroker) -> None:
    with pytest.raises(UnknownTopicError, match="three"):
        broker.topic_id("three")
    with pytest.raises(UnknownTopicError, match="one has no partition 1"):
        broker.append(NewRecord("one", 1, None, None))


def test_waiting_ends_with_the_change_that_was_waited_for(broker: MemoryBroker) -> None:
    epoch = broker.register("writer")
    broker.write("writer", epoch, [record("one", b"a")])
    writer = Thread(target=lambda: broker.commit("writer", epoch), daemon=True)
    writer.start()

    assert broker.wait_for(lambda: bool(values(broker, "one")), 30)
    writer.join()
    assert not broker.wait_for(lambda: bool(values(broker, "two")), 0)

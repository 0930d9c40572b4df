from collections.abc import Callable

import msgspec
import pytest

from processor.engine.errors import ShardRefused, SourceUnavailable
from processor.engine.inputs import NORMAL, Record
from processor.kafka.connection import KafkaConnection, Property, ShardTopics
from processor.kafka.source import KafkaSource
from tests.contracts.broker_world import KafkaWorld, inputs, taken, values
from tests.local_servers import LocalServer
from tests.waiting import wait_equal, wait_for, wait_until

NOWHERE = KafkaConnection("127.0.0.1:1")
TOPICS = ShardTopics("high", "normal", "changes", "commits", "dead", (0,), 0)


def test_brokers_out_of_reach_are_told_for_readiness_and_take_goes_on_empty() -> None:
    source = KafkaSource(NOWHERE, TOPICS, "group")
    source.assign({"high": {0: 0}, "normal": {0: 0}})

    def trouble() -> str:
        source.wait(10)
        assert source.take(NORMAL, 10) == []
        return source.trouble

    wait_for(trouble, lambda text: "refused" in text or "_ALL_BROKERS_DOWN" in text)
    source.close()


def test_facts_of_brokers_out_of_reach_make_the_source_unavailable() -> None:
    source = KafkaSource(NOWHERE, TOPICS, "group", facts_timeout_s=0.5)

    with pytest.raises(SourceUnavailable):
        source.facts()
    source.close()


def test_records_before_a_hole_in_another_partition_are_not_lost(world: KafkaWorld) -> None:
    world.append(inputs(world.topics.normal, range(10)))
    topics = msgspec.structs.replace(world.topics, input_partitions=(0, 1))
    source = KafkaSource(world.connection, topics, "group")
    source.assign({world.topics.normal: {0: 0, 1: 99}})
    seen: list[Record] = []

    def refuses() -> bool:
        try:
            seen.extend(source.take(NORMAL, 100))
        except ShardRefused as refusal:
            return f"{world.topics.normal}[1]" in str(refusal) and "0 to 0" in str(refusal)
        return False

    wait_until(refuses)
    source.assign({world.topics.normal: {0: len(seen), 1: 0}})
    seen.extend(taken(source, NORMAL, 10 - len(seen)))
    assert [record.offset for record in seen] == list(range(10))
    source.close()


def test_lag_is_what_waits_beyond_the_positions_told_last(world: KafkaWorld) -> None:
    world.append(inputs(world.topics.normal, range(10)))
    source = KafkaSource(world.connection, world.topics, "group")
    place = (world.topics.normal, 0)
    assert source.lag() == {}
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 4}})
    taken(source, NORMAL, 6)
    assert source.lag()[place] == 6
    source.commit_group_offsets({world.topics.high: {0: 0}, world.topics.normal: {0: 10}})
    assert source.lag()[place] == 0
    world.append(inputs(world.topics.normal, range(3)))
    wait_equal(lambda: source.lag()[place], 3, what="the end is known although nobody took the records")
    source.close()
    assert source.lag() == {}


def test_what_an_open_transaction_hides_is_lag_and_the_end_of_one_is_none(world: KafkaWorld) -> None:
    world.begin("one", inputs(world.topics.normal, [1])).commit()
    source = KafkaSource(world.connection, world.topics, "group")
    place = (world.topics.normal, 0)
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    taken(source, NORMAL, 1)
    source.commit_group_offsets({world.topics.high: {0: 0}, world.topics.normal: {0: 1}})

    def lag() -> int:
        source.wait(1)
        assert source.take(NORMAL, 1) == []
        return source.lag()[place]

    wait_equal(lag, 0)
    transaction = world.begin("two", inputs(world.topics.normal, [2, 3]))
    wait_equal(lag, 2)
    transaction.abort()
    wait_equal(lag, 0)
    source.close()


def test_properties_of_the_user_do_not_touch_what_correctness_rests_on(world: KafkaWorld) -> None:
    extra: dict[str, Property] = {
        "isolation.level": "read_uncommitted",
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 20,
    }
    source = KafkaSource(KafkaConnection(world.connection.bootstrap_servers, extra), world.topics, "group")
    world.begin("one", inputs(world.topics.normal, [1, 2])).abort()
    world.append(inputs(world.topics.normal, [3]))
    source.assign({world.topics.normal: {0: 0}})

    assert values(taken(source, NORMAL, 1)) == [3]
    source.close()


@pytest.mark.slow
def test_a_broker_that_keeps_silent_or_is_gone_is_noticed_and_read_from_where_it_stopped(
    own_kafka: Callable[..., LocalServer], namespace: str
) -> None:
    server = own_kafka()
    world = KafkaWorld(server.address, namespace)
    world.append(inputs(world.topics.normal, range(10)))
    source = KafkaSource(world.connection, world.topics, "group", facts_timeout_s=5, ids_interval_s=0.1)
    source.facts()
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    first = taken(source, NORMAL, 10)

    def trouble() -> str:
        source.wait(10)
        assert source.take(NORMAL, 10) == []
        return source.trouble

    server.pause()
    wait_for(trouble, lambda text: "cannot be described" in text)
    server.resume()
    wait_equal(trouble, "", what="its first word is noticed though no record comes")
    server.kill()
    with pytest.raises(SourceUnavailable):
        source.facts()
    wait_for(trouble, bool)
    server.start()
    world.append(inputs(world.topics.normal, range(10, 20)))
    assert values(first + taken(source, NORMAL, 10)) == list(range(20))
    assert source.facts().inputs[world.topics.normal, 0].high == 20
    wait_equal(trouble, "")
    source.close()

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from processor.kafka.broker_probe import BrokerProbe
from processor.kafka.connection import KafkaConnection
from processor.kafka.describer import DescribedTopic, TopicDescriber
from tests.local_servers import LocalServer
from tests.services import Kafka
from tests.waiting import wait_until

ASK_INTERVAL_S = 0.05
TIMEOUT_S = 0.3
NAMES = ("there-is-none",)

MakeReach = Callable[[str], BrokerProbe]


@pytest.fixture
def reach_of() -> Iterator[MakeReach]:
    describers: list[TopicDescriber] = []

    def make(address: str) -> BrokerProbe:
        describers.append(TopicDescriber(KafkaConnection(address)))
        return BrokerProbe(describers[-1], NAMES, ask_interval_s=ASK_INTERVAL_S, timeout_s=TIMEOUT_S)

    yield make
    for describer in describers:
        describer.close()


def test_brokers_that_answer_are_not_silent(kafka: Kafka, reach_of: MakeReach) -> None:
    reach = reach_of(kafka.bootstrap)
    assert reach.silent_s() == 0
    asked: list[Any] = []

    def answered_often() -> bool:
        assert reach.silent_s() == 0
        if reach._asked and reach._asked not in asked:
            asked.append(reach._asked)
        return len(asked) > 5

    wait_until(answered_often, what="several answers came")
    reach.close()


def test_brokers_that_are_away_are_silent_for_longer_and_longer(reach_of: MakeReach) -> None:
    reach = reach_of("127.0.0.1:1")
    seen = [reach.silent_s()]

    def is_long() -> bool:
        seen.append(reach.silent_s())
        return seen[-1] > 3 * TIMEOUT_S

    wait_until(is_long, what="nobody has answered for long")
    assert seen == sorted(seen)
    reach.close()
    reach.close()
    assert reach.silent_s() == 0, "counted anew"


def test_silence_ends_with_the_first_answer(own_kafka: Any, reach_of: MakeReach) -> None:
    server: LocalServer = own_kafka()
    reach = reach_of(server.address)
    server.kill()
    wait_until(lambda: reach.silent_s() > 0, what="the silence is noticed")
    server.start()
    wait_until(lambda: reach.silent_s() == 0, what="there was an answer")
    reach.close()


def test_what_is_no_failure_of_kafka_is_raised(reach_of: MakeReach) -> None:
    reach = reach_of("127.0.0.1:1")
    broken: Future[DescribedTopic] = Future()
    broken.set_exception(TypeError("a bug"))
    reach._asked = {"any": broken}
    with pytest.raises(TypeError, match="a bug"):
        reach.silent_s()

from concurrent.futures import Future
from typing import Any

import pytest

from processor.kafka.connection import KafkaConnection
from processor.kafka.reach import Reach
from tests.local_servers import LocalServer
from tests.services import Kafka
from tests.waiting import wait_until

ASK_INTERVAL_S = 0.05
TIMEOUT_S = 0.3


def test_brokers_that_answer_are_not_silent(kafka: Kafka) -> None:
    reach = Reach(KafkaConnection(kafka.bootstrap), ask_interval_s=ASK_INTERVAL_S)
    assert reach.silent_s() == 0
    asked: list[Any] = []

    def answered_often() -> bool:
        assert reach.silent_s() == 0
        if reach._asked is not None and reach._asked not in asked:
            asked.append(reach._asked)
        return len(asked) > 5

    wait_until(answered_often, what="several answers came")
    reach.close()


def test_brokers_that_are_away_are_silent_for_longer_and_longer() -> None:
    reach = Reach(KafkaConnection("127.0.0.1:1"), ask_interval_s=ASK_INTERVAL_S, timeout_s=TIMEOUT_S)
    seen = [reach.silent_s()]

    def is_long() -> bool:
        seen.append(reach.silent_s())
        return seen[-1] > 3 * TIMEOUT_S

    wait_until(is_long, what="nobody has answered for long")
    assert seen == sorted(seen)
    reach.close()
    reach.close()
    assert reach.silent_s() == 0, "counted anew"


def test_silence_ends_with_the_first_answer(own_kafka: Any) -> None:
    server: LocalServer = own_kafka()
    reach = Reach(KafkaConnection(server.address), ask_interval_s=ASK_INTERVAL_S, timeout_s=TIMEOUT_S)
    server.kill()
    wait_until(lambda: reach.silent_s() > 0, what="the silence is noticed")
    server.start()
    wait_until(lambda: reach.silent_s() == 0, what="there was an answer")
    reach.close()


def test_what_is_no_failure_of_kafka_is_raised() -> None:
    reach = Reach(KafkaConnection("127.0.0.1:1"))
    broken: Future[Any] = Future()
    broken.set_exception(TypeError("a bug"))
    reach._asked = broken
    with pytest.raises(TypeError, match="a bug"):
        reach.silent_s()

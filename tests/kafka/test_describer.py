"""Asking for topics costs at most the process that asks."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from time import monotonic

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka import describer as describer_module
from processor.kafka import describing
from processor.kafka.broker_probe import BrokerProbe
from processor.kafka.connection import KafkaConnection, code_of
from processor.kafka.describer import TopicDescriber
from processor.kafka.topic_ids import TopicIds
from tests.kafka.hollow_broker import HollowBroker, Mood
from tests.waiting import wait_until

TIMEOUT_S = 5.0
ASKS_ITSELF = """
import sys
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
client = AdminClient({"bootstrap.servers": sys.argv[1]})
def ask():
    if sys.argv[2] == "cluster":
        return client.describe_cluster(request_timeout=5).result()
    return [answer.result() for answer in client.describe_topics(TopicCollection(["any"]), request_timeout=5).values()]
ask()
print("answered", flush=True)
sys.stdin.readline()
ask()
"""


@pytest.fixture
def broker() -> Iterator[HollowBroker]:
    with HollowBroker() as opened:
        yield opened


@pytest.fixture
def describer(broker: HollowBroker) -> Iterator[TopicDescriber]:
    with TopicDescriber(KafkaConnection(broker.address)) as opened:
        yield opened


@pytest.mark.parametrize("mood", ["hollow", "failing"])
@pytest.mark.parametrize("question", ["cluster", "topics"])
def test_the_client_ends_the_process_that_asks_it(broker: HollowBroker, question: str, mood: Mood) -> None:
    """Why there is a process of its own. Once the library answers instead, it is needed no more."""
    line = [sys.executable, "-c", ASKS_ITSELF, broker.address, question]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "answered\n"
        broker.mood = mood
        _, errors = asking.communicate("go on\n", timeout=30)
    assert "rd_kafka_admin_response_parse" in errors
    assert asking.returncode < 0


@pytest.mark.parametrize("mood", ["hollow", "failing"])
def test_an_answer_without_content_is_a_failure_and_the_next_question_is_answered(
    broker: HollowBroker, describer: TopicDescriber, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describer.ask(["a", "b"], TIMEOUT_S)["b"].result().partitions == 1
    monkeypatch.setattr(describer_module, "RESTART_INTERVAL_S", 3600.0)
    broker.mood = mood
    with pytest.raises(KafkaException, match="ended by SIGABRT"):
        describer.ask(["a"], TIMEOUT_S)["a"].result()
    with pytest.raises(KafkaException, match="cannot be asked: it ended a moment ago"):
        describer.ask(["a"], TIMEOUT_S)["a"].result()
    broker.mood = "whole"
    monkeypatch.setattr(describer_module, "RESTART_INTERVAL_S", 0.0)
    assert describer.ask(["a"], TIMEOUT_S)["a"].result().partitions == 1


class Failing:
    """An admin client whose every question fails."""

    def __init__(self, failure: KafkaException) -> None:
        self._failure = failure

    def describe_topics(self, topics: TopicCollection, **options: object) -> dict[str, Future[None]]:
        del options
        answers: dict[str, Future[None]] = {name: Future() for name in topics.topic_names}
        for answer in answers.values():
            answer.set_exception(self._failure)
        return answers


@pytest.mark.parametrize(("code", "replaced"), [(KafkaError._TIMED_OUT, True), (KafkaError._TRANSPORT, False)])
def test_a_client_that_is_not_answered_in_time_is_replaced(
    *, code: int, replaced: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    clients = describing._Clients({})
    clients._client = client = Failing(KafkaException(KafkaError(code, "too late")))
    question = {"id": 1, "names": ["a"], "groups": [], "rights": False, "timeout_s": TIMEOUT_S}
    describing._answer(clients, client, question)
    assert clients._is_current(client) != replaced
    assert json.loads(capfd.readouterr().out)["topics"] == {"a": [code, "too late"]}


def test_brokers_that_say_nothing_are_silent_and_topic_ids_are_no_news(
    broker: HollowBroker, describer: TopicDescriber
) -> None:
    ids = TopicIds(describer, timeout_s=TIMEOUT_S, interval_s=0.0)
    reach = BrokerProbe(describer, ("a",), ask_interval_s=0.0)
    known = ids.read(["a"])
    broker.mood = "hollow"
    with pytest.raises(SourceUnavailable, match="SIGABRT"):
        ids.read(["a"])
    wait_until(lambda: reach.silent_s() > 0, what="the silence is noticed")
    broker.mood = "whole"
    wait_until(lambda: reach.silent_s() == 0, what="there was an answer")
    wait_until(lambda: ids.verify() == "", what="the ids are compared")
    assert ids.read(["a"]) == known


def test_a_process_that_does_not_answer_is_ended(describer: TopicDescriber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describer_module, "ANSWER_MARGIN_S", -TIMEOUT_S)
    monkeypatch.setattr(describer_module, "LOOK_INTERVAL_S", 0.01)
    with pytest.raises(KafkaException, match="SIGKILL"):
        describer.ask(["a"], TIMEOUT_S)["a"].result()


def test_the_process_is_not_told_the_settings_of_ours(
    describer: TopicDescriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__SASL_PASSWORD", "planted")
    describer.ask(["a"], TIMEOUT_S)["a"].result()
    assert describer._process is not None
    environment = Path(f"/proc/{describer._process.pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"planted" not in environment


def test_a_property_that_is_not_accepted_is_an_invalid_request() -> None:
    with (
        TopicDescriber(KafkaConnection("127.0.0.1:1", extra={"no.such": 1})) as describer,
        pytest.raises(InvalidRequest, match=r"no\.such"),
    ):
        describer.ask(["a"], TIMEOUT_S)["a"].result()


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with (
        TopicDescriber(KafkaConnection("127.0.0.1:1")) as describer,
        pytest.raises(KafkaException, match="/nowhere") as failed,
    ):
        describer.ask(["a"], TIMEOUT_S)["a"].result()
    assert code_of(failed.value) == KafkaError._FAIL


def test_closing_ends_the_process_and_what_was_asked() -> None:
    describer = TopicDescriber(KafkaConnection("127.0.0.1:1"))
    asked = describer.ask(["a"], 60.0)["a"]
    process = describer._process
    began_s = monotonic()
    describer.close()
    describer.close()
    assert process is not None
    assert process.returncode == 0
    assert isinstance(asked.exception(), KafkaException)
    assert monotonic() - began_s < 60.0, "the answer was not waited for"

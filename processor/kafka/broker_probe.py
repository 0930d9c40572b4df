"""Whether this process reaches the brokers at all, probed at intervals without waiting for the answer."""

from collections.abc import Sequence
from time import monotonic

from confluent_kafka import KafkaException

from processor.kafka.connection import code_of
from processor.kafka.describer import Answers, TopicDescriber

ASK_INTERVAL_S = 2.0
TIMEOUT_S = 5.0


class BrokerProbe:
    """Asks the brokers for topics, whatever the answer. For one thread."""

    def __init__(
        self,
        describer: TopicDescriber,
        names: Sequence[str],
        *,
        ask_interval_s: float = ASK_INTERVAL_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._describer = describer
        self._names = tuple(names)
        self._ask_interval_s = ask_interval_s
        self._timeout_s = timeout_s
        self._asked: Answers = {}
        self._asked_s = 0.0
        self._silent_since_s: float | None = None

    def silent_s(self) -> float:
        """Return for how long we have known that the brokers do not answer, 0 when they did the last time.

        The time until the first failure does not count: a process that was stopped for a while was not cut off.
        """
        now_s = monotonic()
        if self._asked and all(answer.done() for answer in self._asked.values()):
            self._take(now_s)
        if not self._asked and now_s >= self._asked_s + self._ask_interval_s:
            self._asked, self._asked_s = self._describer.ask(self._names, self._timeout_s), now_s
        return 0.0 if self._silent_since_s is None else now_s - self._silent_since_s

    def close(self) -> None:
        """Drop the pending question; safe to call twice."""
        self._asked, self._silent_since_s = {}, None

    def _take(self, now_s: float) -> None:
        answers, self._asked = self._asked, {}
        if any(_is_brokers(answer.exception()) for answer in answers.values()):
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = now_s


def _is_brokers(failure: BaseException | None) -> bool:
    """Return whether a broker said so; what is no failure of Kafka is raised. The client's own codes are negative."""
    if failure is None:
        return True
    if isinstance(failure, KafkaException):
        return code_of(failure) > 0
    raise failure

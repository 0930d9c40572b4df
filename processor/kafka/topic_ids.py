"""Topic ids, which tell a topic from a later one with the same name.

A consumer silently continues at its old offset in a topic that was deleted and made again; only the id tells.
"""

from collections.abc import Sequence
from time import monotonic

from confluent_kafka import KafkaError, KafkaException

from processor.engine.errors import ShardRefused, SourceUnavailable
from processor.kafka.connection import KafkaConnection, code_of
from processor.kafka.describer import Answers, TopicDescriber

EMBEDDED_ID = "embedded"
"""The id of every topic of the embedded broker, which knows none."""

# Whoever has not answered for so long is away, and asked again soon.
VERIFY_TIMEOUT_S = 3.0
RETRY_INTERVAL_S = 1.0


class TopicIds:
    """Reads topic ids, and checks every `interval_s` that they are unchanged."""

    def __init__(self, describer: TopicDescriber, *, timeout_s: float, interval_s: float) -> None:
        self._connection = describer.connection
        self._describer = describer
        self._timeout_s = timeout_s
        self._interval_s = interval_s
        self._known: dict[str, str] = {}
        self._asked: Answers = {}
        self._ask_at_s = 0.0
        self._asked_s = 0.0
        self._doubted = False

    def read(self, names: Sequence[str]) -> dict[str, str]:
        """Return name → id. Raises SourceUnavailable, also while one of them does not exist."""
        if self._connection.embedded:
            return dict.fromkeys(names, EMBEDDED_ID)
        self._asked = {}
        ids = {}
        for name, answer in self._describer.ask(names, self._timeout_s).items():
            try:
                ids[name] = answer.result().id
            except KafkaException as failure:
                raise SourceUnavailable(sentence_of(name, failure, self._connection)) from failure
        self._known = dict(ids)
        return ids

    def verify(self) -> str | None:
        """Compare what was read with what the broker says now and then, without waiting.

        Return why nobody answered, empty when somebody did, None when there is no news.
        Raises ShardRefused when a topic was made again, SourceUnavailable while it does not exist.
        """
        if not self._known or monotonic() < self._ask_at_s:
            return None
        if not self._asked:
            self._asked_s = monotonic()
            self._asked = self._describer.ask(list(self._known), min(VERIFY_TIMEOUT_S, self._timeout_s))
        if not all(answer.done() for answer in self._asked.values()):
            return None
        answers, self._asked, self._doubted = self._asked, {}, False
        self._ask_at_s = monotonic() + self._interval_s
        return self._compare(answers)

    def doubt(self) -> None:
        """Believe no answer under way and ask soon; once, however often this is called before the answer.

        While brokers are away errors come by the dozen, and a question costs memory for as long as nobody answers.
        """
        if not self._doubted:
            self._doubted = True
            self._asked = {}
            self._ask_at_s = min(self._ask_at_s, self._asked_s + RETRY_INTERVAL_S)

    def close(self) -> None:
        """Drop what was read; safe to call twice."""
        self._known, self._asked = {}, {}

    def _compare(self, answers: Answers) -> str:
        silence = ""
        for name, answer in answers.items():
            failure = answer.exception()
            if failure is None:
                self._compare_id(name, answer.result().id)
            elif isinstance(failure, KafkaException) and code_of(failure) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._ask_at_s = 0.0  # what is read next may be another topic's
                raise SourceUnavailable(sentence_of(name, failure, self._connection))
            else:
                silence = sentence_of(name, failure, self._connection)
        if silence:
            self._ask_at_s = monotonic() + min(RETRY_INTERVAL_S, self._interval_s)
        return silence

    def _compare_id(self, name: str, now: str) -> None:
        if now != self._known[name]:
            self._ask_at_s = 0.0
            raise ShardRefused(
                f"topic {name} was deleted and made again while it was used: its id was {self._known[name]}, "
                f"now it is {now}; positions in it mean nothing any more. "
                f"Accept it with: processor shards accept-gap SHARD --topic {name} (for an input: --to OFFSET)"
            )


def sentence_of(name: str, failure: KafkaException, connection: KafkaConnection) -> str:
    """Return why a topic cannot be described, and what to do where it does not exist."""
    if code_of(failure) == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return f"topic {name} does not exist; create it with: processor topics apply"
    cause = connection.cause_of(failure, needs=f"READ on topic {name}")
    return f"topic {name} cannot be described: {cause}"

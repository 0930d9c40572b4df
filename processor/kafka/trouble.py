"""Why nothing can be read, according to the errors of the consumers of a shard's inputs."""

from collections.abc import Callable

from confluent_kafka import KafkaError

from processor.kafka.connection import KafkaConnection, words_of

# One broker of several may go: only these say that there is nobody to read from.
NOBODY_ANSWERS = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the library's own name for it
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
    }
)


class Trouble:
    """Errors of the lanes of a shard, which share their brokers."""

    def __init__(self, connection: KafkaConnection, ask: Callable[[], None]) -> None:
        self.connection = connection
        self._ask = ask
        # a callback must not call its client, which would end the process: whoever polls it hands it new credentials
        self.denied = 0
        self.text = ""

    def explained(self, error: KafkaError, needs: str = "") -> str:
        """Return an explanation of an error; `needs` is the right without which the call is denied."""
        return self.connection.explained(words_of(error), error, needs=needs)

    def note(self, error: KafkaError) -> None:
        """Record an error; the `error_cb` of the consumers."""
        self.connection.causes.note(error)
        self.denied += error.code() == KafkaError._AUTHENTICATION  # noqa: SLF001 - as above
        if error.code() in NOBODY_ANSWERS:
            self.text = self.explained(error)
        self._ask()

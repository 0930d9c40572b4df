"""Writing a job's records before a run, all at once."""

from collections.abc import Sequence

from confluent_kafka import Producer

from bench.job import START_MS
from bench.place import Place
from processor.engine.inputs import LaneName

KEY = b"bench"
FLUSH_TIMEOUT_S = 120
QUEUE_RECORDS = 100_000
PROPERTIES = {"compression.type": "lz4", "linger.ms": 5, "queue.buffering.max.messages": 2 * QUEUE_RECORDS}


def fill(place: Place, values: Sequence[bytes], *, lane: LaneName = "normal") -> None:
    """Append one record a value; each is a millisecond after the one before."""
    producer = Producer({"bootstrap.servers": place.servers.kafka, **PROPERTIES})
    _append(producer, place.topics[lane], values)


def fill_at_once(place: Place, values: Sequence[bytes]) -> None:
    """Append to the normal lane in one transaction: the records are there in one moment."""
    producer = Producer(
        {
            "bootstrap.servers": place.servers.kafka,
            "transactional.id": f"{place.name}-filling",
            "transaction.timeout.ms": FLUSH_TIMEOUT_S * 1000,
            **PROPERTIES,
        }
    )
    producer.init_transactions()
    producer.begin_transaction()
    _append(producer, place.topics["normal"], values)
    producer.commit_transaction()


def _append(producer: Producer, topic: str, values: Sequence[bytes]) -> None:
    for number, value in enumerate(values):
        producer.produce(topic, value, KEY, partition=0, timestamp=START_MS + number)
        if number % QUEUE_RECORDS == QUEUE_RECORDS - 1:
            producer.flush(FLUSH_TIMEOUT_S)
    if producer.flush(FLUSH_TIMEOUT_S):
        raise TimeoutError(f"{topic}: the job's records were not acknowledged")

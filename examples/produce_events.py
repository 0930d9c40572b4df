"""Produce events from a program: a server replica connects, a user requests a model.

python examples/produce_events.py --bootstrap 127.0.0.1:9092
"""

import argparse
from pathlib import Path

from processor.configuration.topics import load_topics
from processor.produce import Catalogue, EventEncoder, KafkaConnection, event_producer

PROJECT = Path(__file__).resolve().parent.parent

EVENTS = (
    ("ServerDeclared", {"server": "cpu", "expected_replicas": 1}),
    ("ServerReplicaConnected", {"server": "cpu", "replica": 0, "capabilities": ["sklearn"], "memory": 8 << 30}),
    ("ModelLoadRequested", {"model": "iris", "spec": {"uri": "s3://models/iris", "requirements": ["sklearn"]}}),
)


def main() -> None:
    """Produce the events and print where each was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka, host:port")
    parser.add_argument("--topics", type=Path, default=PROJECT / "topics.yaml")
    arguments = parser.parse_args()
    topics = {role: topic.name for role, topic in load_topics(arguments.topics).by_role.items()}
    encode = EventEncoder(Catalogue.load(PROJECT / "schemas"))
    connection = KafkaConnection(arguments.bootstrap)
    with event_producer(connection, topics, encode, clusters=("cluster",)) as producer:
        for event_type, data in EVENTS:
            producer.send(event_type, data)
        for (event_type, _), delivery in zip(EVENTS, producer.flush(), strict=True):
            print(f"{event_type} is at {delivery.topic}[{delivery.partition}]@{delivery.offset}")


if __name__ == "__main__":
    main()

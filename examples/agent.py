"""Act on announcements: a simulated server replica that loads and unloads what it is told to, and reports back.

    python examples/agent.py --bootstrap 127.0.0.1:9092 --server cpu --replica 0

Announcements come each once and in order; a gap would show in `received.missing`. Reports may be sent twice without
harm: the state generator knows a repeat.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processor.avro.catalogue import Catalogue
from processor.clients import EventEncoder, RecordDecoder, event_producer
from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import AnnouncementReader
from processor.topics import load_topics

PROJECT = Path(__file__).resolve().parent.parent
Report = tuple[str, dict[str, Any]]


def reports(change: dict[str, Any], *, server: str, replica: int, free_memory: int) -> Iterator[Report]:
    """Yield what this replica has to report about one changed model: what it did of what it was told."""
    model = change["after"] or change["before"]
    for transition in change["transitions"]:
        if (transition.get("server"), transition.get("replica")) != (server, replica):
            continue
        where = {"model": model["name"], "version": transition["version"], "server": server, "replica": replica}
        if transition["type"] == "ReplicaLoadRequested":
            yield "ModelReplicaLoading", where
            yield "ModelReplicaLoaded", {**where, "available_memory": free_memory}
        elif transition["type"] == "ReplicaUnloadRequested":
            yield "ModelReplicaUnloaded", {**where, "available_memory": free_memory}


def main() -> None:
    """Follow the changes until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka, host:port")
    parser.add_argument("--topics", type=Path, default=PROJECT / "topics.yaml")
    parser.add_argument("--server", default="cpu")
    parser.add_argument("--replica", type=int, default=0)
    parser.add_argument("--memory", type=int, default=8 << 30, help="free memory to report, in bytes")
    arguments = parser.parse_args()
    topics = {role: topic.name for role, topic in load_topics(arguments.topics).by_role.items()}
    catalogue = Catalogue.load(PROJECT / "schemas")
    connection = KafkaConnection(arguments.bootstrap)
    reader = AnnouncementReader(connection, topics["changes"], [0], RecordDecoder(catalogue))
    with event_producer(connection, topics, EventEncoder(catalogue), clusters=("cluster",)) as producer:
        for received in reader:
            if received.missing:
                print(f"{received.missing} announcements are missing before number {received.number}")
            if received.value.type != "processor.changes.ModelChanged":
                continue
            told = {"server": arguments.server, "replica": arguments.replica, "free_memory": arguments.memory}
            for event_type, data in reports(received.value.value, **told):
                print(f"{event_type} {data['model']} v{data['version']}")
                producer.send(event_type, data)
            producer.flush()


if __name__ == "__main__":
    main()

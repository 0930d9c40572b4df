"""Act on announcements: a simulated server replica that loads and unloads models as requested, and reports back.

    python examples/agent.py --bootstrap 127.0.0.1:9092 --server cpu --replica 0

Announcements come each once and in order. How far the agent is, it keeps in a file, written when its reports are
acknowledged: killed in between, it reports again, which does no harm, as the state generator knows a repeat. Without
the file it begins with what comes from now on; an agent that has lost its file should connect again and say what it
holds. A gap ends it: it may have missed an order.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processor.configuration.topics import load_topics
from processor.consume import AnnouncementReader, Catalogue, KafkaConnection, announcement_reader
from processor.produce import EventEncoder, event_producer

PROJECT = Path(__file__).resolve().parent.parent
Report = tuple[str, dict[str, Any]]


def reports(model: str, change: dict[str, Any], *, server: str, replica: int, free_memory: int) -> Iterator[Report]:
    """Yield the reports of this replica about one changed model: the requests that it has carried out."""
    for transition in change["transitions"]:
        if (transition.get("server"), transition.get("replica")) != (server, replica):
            continue
        where = {"model": model, "version": transition["version"], "server": server, "replica": replica}
        if transition["type"] == "ReplicaLoadRequested":
            yield "ModelReplicaLoading", where
            yield "ModelReplicaLoaded", {**where, "available_memory": free_memory}
        elif transition["type"] == "ReplicaUnloadRequested":
            yield "ModelReplicaUnloaded", {**where, "available_memory": free_memory}


def open_reader(connection: KafkaConnection, topic: str, catalogue: Catalogue, place_file: Path) -> AnnouncementReader:
    """Return a reader that resumes at the position in the file."""
    if not place_file.exists():
        return announcement_reader(connection, topic, catalogue, from_="end")
    place = json.loads(place_file.read_text())
    from_, numbers = {0: place["next_offset"]}, {0: place["number"]}
    return announcement_reader(connection, topic, catalogue, from_=from_, numbers=numbers)


def keep_place(reader: AnnouncementReader, place_file: Path) -> None:
    """Write the reader's position atomically."""
    beside = place_file.with_suffix(".new")
    beside.write_text(json.dumps({"next_offset": reader.positions[0], "number": reader.numbers[0]}))
    beside.replace(place_file)


def main() -> None:
    """Follow the changes until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka, host:port")
    parser.add_argument("--topics", type=Path, default=PROJECT / "topics.yaml")
    parser.add_argument("--server", default="cpu")
    parser.add_argument("--replica", type=int, default=0)
    parser.add_argument("--memory", type=int, default=8 << 30, help="free memory to report, in bytes")
    parser.add_argument("--place", type=Path, default=Path("agent.json"), help="where to keep how far it is")
    arguments = parser.parse_args()
    topics = {role: topic.name for role, topic in load_topics(arguments.topics).by_role.items()}
    catalogue = Catalogue.load(PROJECT / "schemas")
    connection = KafkaConnection(arguments.bootstrap)
    told = {"server": arguments.server, "replica": arguments.replica, "free_memory": arguments.memory}
    with (
        open_reader(connection, topics["changes"], catalogue, arguments.place) as reader,
        event_producer(connection, topics, EventEncoder(catalogue), clusters=("cluster",)) as producer,
    ):
        for received in reader:
            if received.value.type == "processor.changes.ModelChanged":
                model = received.value.key.partition("/")[2]
                for event_type, data in reports(model, received.value.value, **told):
                    print(f"{event_type} {data['model']} v{data['version']}", flush=True)
                    producer.send(event_type, data)
                producer.flush()
            keep_place(reader, arguments.place)


if __name__ == "__main__":
    main()

"""The digest after every commit of a log that is cut into batches; a program that needs little of the project.

`python tests/golden/fold.py EVENTS.jsonl CUT...` prints a JSON array a cut: the digests of its commits, in order.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.avro.decoder import AvroEventDecoder
from processor.avro.records import RecordCodec
from processor.cluster.event_parsing import InvalidEvent, parse_event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.engine.digest import digest_hex
from processor.engine.images import Images
from processor.engine.inputs import Accepted, Record

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def digests(lines: Sequence[Mapping[str, Any]], *, batch_events: int) -> Iterator[str]:
    """Yield the digest after each batch: decoded from Avro, folded, compared, encoded and summed as in production."""
    catalogue, machine = Catalogue.load(SCHEMAS), ClusterMachine()
    events = list(_events(catalogue, lines))
    images = Images(AvroEncoder(catalogue, machine.entity_types))
    after = machine.empty()
    images.load(machine.entities(after), {})
    for start in range(0, len(events), batch_events):
        before = after = machine.begin(after)
        for event in events[start : start + batch_events]:
            outcome = machine.apply(after, event)
            after = after if isinstance(outcome, Rejected) else outcome
        images.accept(images.encode(machine.diff(before, after)))
        yield digest_hex(images.digest)


def _events(catalogue: Catalogue, lines: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    records, decoder = RecordCodec(catalogue), AvroEventDecoder(catalogue, parse_event, InvalidEvent)
    for line in lines:
        value = records.encode_record(catalogue.require(f"processor.events.{line['type']}"), line["data"])
        decoded = decoder.decode(Record("in", 0, 0, line["at_ms"], None, value))
        if not isinstance(decoded, Accepted):
            raise TypeError(f"this is no event: {decoded}")
        yield decoded.event


def main(path: str, *cuts: str) -> None:
    """Print the digests of each cut."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    for cut in cuts:
        sys.stdout.write(f"{json.dumps(list(digests(lines, batch_events=int(cut))))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

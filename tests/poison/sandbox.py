"""Try every hostile record in a process of its own that may take little memory and little time of a processor.

    python -m tests.poison.sandbox

prints a line of JSON a record: its name, what became of it without and with a schema registry, the megabytes it took.
A record that breaks a limit ends its process and no other; what became of it is then how that process ended.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from processor.assembly.engine import Domain, cluster_domain
from processor.avro.catalogue import Catalogue
from processor.avro.decoder import AvroEventDecoder
from processor.avro.framing import ResolveId, no_registry
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.configuration.settings import Settings
from processor.engine.images import Images
from processor.engine.inputs import Record
from processor.engine.outputs import DeadLetterFacts, dead_letter
from processor.engine.reduction import reduce_batch
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.poison.catalogue import CATALOGUE
from tests.poison.kinds import ACCEPTED, Poison
from tests.poison.registry import known

MEMORY_BYTES_MAX = 128 * 1024 * 1024
CPU_S_MAX = 5
ENTITIES_MAX = 100


def main() -> None:
    """Try the records whose names are given, all without arguments."""
    catalogue = Catalogue.load(SCHEMAS_DIRECTORY)
    domain = cluster_domain(Settings(), catalogue)
    decoders = [_decoder(catalogue, resolve_id) for resolve_id in (no_registry, known().get)]
    for poison in CATALOGUE:
        if len(sys.argv) > 1 and poison.name not in sys.argv[1:]:
            continue
        tried = [confined(partial(outcome, poison, domain, decoder)) for decoder in decoders]
        took = max(megabytes for _, megabytes in tried)
        sys.stdout.write(json.dumps([poison.name, *[what for what, _ in tried], took]) + "\n")


def _decoder(catalogue: Catalogue, resolve_id: ResolveId) -> AvroEventDecoder:
    return AvroEventDecoder(catalogue, parse_json_event, InvalidEvent, resolve_id=resolve_id)


def outcome(poison: Poison, domain: Domain, decoder: AvroEventDecoder) -> str:
    """Return what the engine makes of the record in an empty shard, from its bytes to encoded entities."""
    record = Record("in", 0, 5, poison.timestamp_ms, poison.key, poison.value, poison.headers)
    machine = domain.machine
    reduction = reduce_batch(machine, machine.empty(), [decoder.decode(record)], entities_max=ENTITIES_MAX)
    Images(domain.encoder).encode(reduction.changes)
    for _, why in reduction.dead:
        dead_letter(record, why, DeadLetterFacts(1, 1, 0, 1), index=0)
        return why.code
    return reduction.rejections[0][1].code if reduction.rejections else ACCEPTED


def confined(work: Callable[[], str], *, cpu_s_max: int = CPU_S_MAX) -> tuple[str, int]:
    """Return what `work` gives in a child process under the limits, or how that ended, and its memory in MB."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _limit(cpu_s_max)
            os.write(sending, work().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(sending)
    with os.fdopen(receiving, "rb") as answers:
        answer = answers.read().decode()
    _, status, usage = os.wait4(child, 0)
    return answer if status == 0 else f"ended with {os.waitstatus_to_exitcode(status)}", usage.ru_maxrss // 1024


def _limit(cpu_s_max: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES_MAX
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max))


if __name__ == "__main__":
    main()

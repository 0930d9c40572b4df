"""The reports of server replicas about model versions on them; `lifecycle.REPORTS` is the table."""

from typing import Any

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import Orphan, Replica
from processor.cluster.events import ModelReplicaUnloaded
from processor.cluster.lifecycle import GONE, REPORTS
from processor.cluster.rejection import Rejected
from processor.cluster.rows import find_index, find_version, with_row, with_version


def replica_reported(draft: Draft, event: Any) -> Rejected | None:
    """Move one entry as its report says; a repeat changes nothing, a contradiction is rejected."""
    model = draft.model(event.model)
    version = find_version(model, event.version)
    if model is None or version is None or version.server != event.server:
        return _without_target(draft, event)
    entry = find_index(version.replicas, event.replica)
    if entry is None:
        return _without_target(draft, event)
    rule = REPORTS[type(event).__name__]
    if entry.state in rule.repeats:
        return None
    if entry.state not in rule.sources:
        return Rejected("unexpected_report", f"{event.model} {event.version} is {entry.state} there")
    target = rule.target
    reported = Replica(entry.index, target, event.reason if rule.reasoned else "", event.at_ms)
    moved = with_version(model, replace(version, replicas=with_row(version.replicas, reported)))
    if rule.quiet:
        draft.put_settled(moved)
        return None
    draft.put_model(moved)
    if target in GONE:
        draft.emptied |= {event.server}
    if rule.measured:
        _measure(draft, event)
    draft.capacity_grown = rule.frees
    return None


def _measure(draft: Draft, event: Any) -> None:
    server = draft.server(event.server)
    record = find_index(server.replicas, event.replica) if server is not None else None
    if server is not None and record is not None:
        draft.put_measured(server, record, replace(record, available_memory=event.available_memory))


def _without_target(draft: Draft, event: Any) -> Rejected | None:
    server = draft.server(event.server) if isinstance(event, ModelReplicaUnloaded) else None
    record = find_index(server.replicas, event.replica) if server is not None else None
    orphan = Orphan(event.model, event.version)
    if server is None or record is None or orphan not in record.orphans:
        return Rejected("unknown_target", f"{event.model} {event.version} is not on {event.server} {event.replica}")
    orphans = tuple([other for other in record.orphans if other != orphan])
    measured = replace(record, available_memory=event.available_memory, orphans=orphans)
    draft.put_measured(server, record, measured)
    draft.capacity_grown = True
    return None

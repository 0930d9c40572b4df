"""The rule of what server replicas report about model versions on them; `lifecycle.REPORTS` is its table."""

from typing import Any

from msgspec.structs import replace

from processor.cluster.draft import Draft, find_index, find_version
from processor.cluster.entities import Orphan, Replica, Version
from processor.cluster.events import ModelReplicaUnloaded, ReplicaReport
from processor.cluster.lifecycle import GONE, REPORTS
from processor.cluster.rejection import Rejected


def replica_reported(draft: Draft, event: Any) -> Rejected | None:
    """Move one entry on; a repeat changes nothing, a contradiction is rejected."""
    model = draft.model(event.model)
    version = find_version(model, event.version)
    at_home = version is not None and version.server == event.server
    entry = find_index(version.replicas, event.replica) if version is not None and at_home else None
    if model is None or version is None or entry is None:
        return _without_target(draft, event)
    rule = REPORTS[type(event).__name__]
    if entry.state in rule.repeats:
        return None
    if entry.state not in rule.sources:
        return Rejected("unexpected_report", f"{event.model} {event.version} is {entry.state} there")
    reported = Replica(entry.index, rule.target, event.reason if rule.reasoned else "", event.at_ms)
    moved = _with_entry(version, entry, reported)
    draft.put_model(replace(model, versions=tuple([moved if other is version else other for other in model.versions])))
    if rule.target in GONE:
        draft.emptied |= {event.server}
    if rule.measured:
        _measure(draft, event)
    draft.capacity_grown = rule.frees
    return None


def _with_entry(version: Version, old: Replica, new: Replica) -> Version:
    return replace(version, replicas=tuple([new if replica is old else replica for replica in version.replicas]))


def _measure(draft: Draft, event: Any, without: Orphan | None = None) -> None:
    server = draft.server(event.server)
    record = find_index(server.replicas, event.replica) if server is not None else None
    if server is not None and record is not None:
        orphans = tuple([orphan for orphan in record.orphans if orphan != without])
        draft.put_server_replica(server, replace(record, available_memory=event.available_memory, orphans=orphans))


def _without_target(draft: Draft, event: ReplicaReport) -> Rejected | None:
    if isinstance(event, ModelReplicaUnloaded):
        server = draft.server(event.server)
        record = find_index(server.replicas, event.replica) if server is not None else None
        orphan = Orphan(event.model, event.version)
        if record is not None and orphan in record.orphans:
            _measure(draft, event, orphan)
            draft.capacity_grown = True
            return None
    return Rejected("unknown_target", f"{event.model} {event.version} is not on {event.server} {event.replica}")

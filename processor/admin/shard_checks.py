"""The checks of one shard: what the next owner would check when it takes over, without owning or writing anything.

They use the engine's own functions on the parts of a tool, in the order of a take-over: positions within what the
inputs hold, transactions that are open there, outputs that are not ahead of the store, and the state's digest.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from processor.admin.session import offline_parts
from processor.admin.shards import BEHIND_AFTER_MS, ShardView, input_marks
from processor.assembly.connections import kafka_connection
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames
from processor.engine.errors import ProcessorError, Retry, ShardRefused, StoreDenied
from processor.engine.parts import Parts
from processor.engine.positions import checked_positions
from processor.engine.recovery import before_repair, check_versions, foreign_edit, restore
from processor.engine.tails import check_not_ahead, reached_by
from processor.engine.values import Head
from processor.kafka.reader import RecordReader
from processor.runtime.clock import now_ms

Verdict = Literal["ok", "warning", "failed", "unreachable", "not looked at"]
AHEAD_MS_MAX = 2_000
CHOICES = (
    "Choose: restore a newer backup of etcd; or, while the inputs still hold all records, fold them again with "
    "processor replay --snapshot, delete the shard's keys and put that in with processor state import; or begin anew "
    "under another PROCESSOR_APP with other output topics. Writing on would give numbers twice that consumers have seen"
)


class Check(msgspec.Struct, frozen=True):
    """One question and its answer; the fields are the rows of `doctor -o json`."""

    check: str
    verdict: Verdict
    detail: str


def guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield the checks; an error that ends them becomes a check of its own."""
    try:
        yield from checks()
    except StoreDenied as error:
        yield Check(name, "failed", str(error))
    except Retry as error:
        yield Check(name, "unreachable", str(error))
    except ProcessorError as error:
        yield Check(name, "failed", str(error))


def examine(view: ShardView, settings: Settings, topics: TopicNames, *, no_brokers: str) -> Iterator[Check]:
    """Yield the checks of a shard; one that fails does not end the others.

    `no_brokers` says why the topics cannot be looked at, "" if they can.
    """
    name, head = f"shard {view.shard}", view.head
    if head is None:
        yield Check(name, "warning", "has never run")
        return
    owner = f"owned by {view.owner.instance}" if view.owner else "owned by nobody"
    yield Check(name, "ok" if view.owner else "warning", f"{owner}, at seq {head.seq}")
    with offline_parts(settings, view.shard, None if no_brokers else topics) as parts:
        if no_brokers:
            yield Check(f"{name} inputs", "not looked at", no_brokers)
            yield Check(f"{name} output", "not looked at", no_brokers)
        else:
            yield from guarded(f"{name} inputs", lambda: _inputs(f"{name} inputs", head, parts))
            yield from guarded(
                f"{name} transactions", lambda: _transactions(f"{name} transactions", view, settings, topics)
            )
            yield from guarded(f"{name} output", lambda: _output(f"{name} output", parts))
        yield from guarded(f"{name} state", lambda: _state(f"{name} state", parts))


def clock(settings: Settings, topics: TopicNames, views: Sequence[ShardView]) -> Iterator[Check]:
    """Compare this machine's clock with the times of the newest commits and records.

    Only clocks that are ahead of it show: neither Kafka nor etcd reports its own time without a write.
    """
    seen = {f"the last commit of shard {view.shard}": view.head.committed_ms for view in views if view.head}
    for role in ("high", "normal"):
        with RecordReader(kafka_connection(settings), topics[role]) as reader:
            for record in reader.last(1):
                seen[f"the last record of {record.topic}[{record.partition}]"] = record.timestamp_ms
    our_ms = now_ms()
    ahead = {what: at_ms - our_ms for what, at_ms in seen.items() if at_ms - our_ms > AHEAD_MS_MAX}
    for what, by_ms in ahead.items():
        yield Check("clock", "warning", f"{what} is {by_ms / 1000:.1f} s ahead of this machine's clock: one is wrong")
    if not ahead:
        yield Check("clock", "ok", f"nothing of {len(seen)} commits and records is from the future")


def _inputs(name: str, head: Head, parts: Parts) -> Iterator[Check]:
    check_versions(head, reducer_version=ClusterMachine.version)
    positions = checked_positions(head, parts.source.facts())
    yield Check(name, "ok", f"{sum(map(len, positions.values()))} positions are where records are")


def _transactions(name: str, view: ShardView, settings: Settings, topics: TopicNames) -> Iterator[Check]:
    """Yield the transactions that are open in the inputs; one that stays open blocks the records behind it."""
    opened = {place: mark.opened for place, mark in input_marks(settings, topics, view.shard).items() if mark.opened}
    for place, one in opened.items():
        verdict: Verdict = "failed" if now_ms() - one.since_ms > BEHIND_AFTER_MS else "warning"
        yield Check(name, verdict, one.sentence(place, settings.kafka.bootstrap_servers))
    if not opened:
        yield Check(name, "ok", "none is open in the inputs")


def _output(name: str, parts: Parts) -> Iterator[Check]:
    tails = parts.sink.tails()
    snapshot = parts.store.load()
    if snapshot.head is None:
        raise ShardRefused("the head is gone")
    seq, announced_seq = snapshot.head.seq, snapshot.head.announced_seq
    try:
        check_not_ahead(tails, head_seq=seq)
    except ShardRefused as refused:
        raise ShardRefused(f"{refused}. {CHOICES}") from refused
    reached_by(tails, head_seq=seq, announced_seq=announced_seq, outbox=snapshot.outbox)
    yield Check(name, "ok", f"the output is not ahead of the store, which is at seq {seq}")


def _state(name: str, parts: Parts) -> Iterator[Check]:
    snapshot = parts.store.load()
    if snapshot.head is None:
        raise ShardRefused("the head is gone")
    head = snapshot.head
    check_versions(head, reducer_version=parts.machine.version)
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    if head.reducer_version < parts.machine.version:
        what = f"made by reducer version {head.reducer_version}: the next owner upgrades it"
        yield Check(name, "warning", what)
    elif restored.digest == head.digest:
        yield Check(name, "ok", f"{len(snapshot.entities)} entities, whose digest is the head's")
    elif before_repair(snapshot, machine=parts.machine, encoder=parts.encoder) is not None:
        what = f"repaired by hand: {', '.join(sorted(head.repaired))}; its owner, or the next one, commits the repair"
        yield Check(name, "warning", what)
    else:
        raise foreign_edit(parts.store, snapshot, found=restored.digest)

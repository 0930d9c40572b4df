"""Defects in what a processor makes of its events, and in when it publishes and trims what came of them."""

import msgspec

from examples.device_twins.machine import Change, DeviceReported, DeviceRetired, Event, Rejected, Twins
from processor.engine.announcements import StoredEntry
from processor.engine.compose import UnstampedCommit
from processor.engine.inputs import Accepted, Decoded, Record, Undecodable
from processor.engine.orchestrator import Orchestrator
from processor.engine.preparation import Prepared
from processor.engine.values import TrimRequest
from tests.engine.world import EventCodec, JsonCodec
from tests.simulation.announcer import SimulatedAnnouncer
from tests.simulation.workload import FragileTwins

SKIPPED = DeviceRetired(at_ms=0, device="skipped")


class RemovalsNotTold(FragileTwins):
    """Leaves removed entities out of the difference."""

    def diff(self, before: Twins, after: Twins) -> tuple[Change, ...]:
        return tuple(change for change in super().diff(before, after) if change.after is not None)


class RejectionsNotRecorded(FragileTwins):
    """Takes a refused event for one that changed nothing."""

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        result = super().apply(state, event)
        return state if isinstance(result, Rejected) else result


class WallClock(FragileTwins):
    """Asks the clock instead of the event."""

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        if isinstance(event, DeviceReported):
            event = event.model_copy(update={"at_ms": self._process.stage.now_ms()})
        return super().apply(state, event)


class SetOrder(FragileTwins):
    """Tells the changes in the order of a set."""

    def diff(self, before: Twins, after: Twins) -> tuple[Change, ...]:
        by_name = {change.name: change for change in super().diff(before, after)}
        return tuple(by_name[name] for name in set(by_name))


class UndecodableSkipped(EventCodec):
    """Passes over what it cannot decode, without a dead letter. Goes with `Skipping`."""

    def __init__(self, codec: JsonCodec) -> None:
        super().__init__(codec)
        self._codec = codec
        self.decode = self._decode

    def _decode(self, record: Record) -> Decoded:
        decoded = self._codec.decode_event(record)
        return Accepted(decoded.cause, SKIPPED) if isinstance(decoded, Undecodable) else decoded


class Skipping(FragileTwins):
    """Does nothing for what was passed over."""

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        return state if event is SKIPPED else super().apply(state, event)


class PublishedBeforeCommit(Orchestrator):
    """Announces what it has sent to the store, whatever becomes of it."""

    def _send(self, commit: UnstampedCommit, prepared: Prepared | None = None) -> None:
        super()._send(commit, prepared)
        sent = self._commits.sent
        if sent is not None and sent.commit.outbox is not None:
            self._publisher.offer(StoredEntry(sent.commit.outbox, self.revision))
            unannounced = msgspec.structs.replace(sent.commit, outbox=None)
            self._commits.sent = msgspec.structs.replace(sent, commit=unannounced)


class TrimmedByThePublisher(SimulatedAnnouncer):
    """Trims by itself what it has published, while the loop may have a commit under way."""

    def _pump(self) -> float:
        pause_s = super()._pump()
        head = self._parts.store.read_head().head
        if head is not None and head.announced_seq < self._publisher.acknowledged_seq:
            seen = self._parts.store.read_head()
            trimmed = msgspec.structs.replace(head, announced_seq=self._publisher.acknowledged_seq)
            in_flight = self._parts.store.trim(TrimRequest(seen.head_revision, trimmed, seen.owner_epoch))
            if in_flight is not None:
                in_flight.result()
        return pause_s

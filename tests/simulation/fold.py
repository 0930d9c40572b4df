"""The commits of a run folded again, one after the other, with the plain device twins."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from examples.device_twins.machine import Change, Device, DeviceTwins, Rejected, Twins
from processor.engine.announcements import CommitRecord
from processor.engine.digest import MODULUS, digest_bytes, entity_digest
from processor.engine.inputs import Accepted, Invalid, Record, TopicPartition
from processor.engine.values import Head
from tests.engine.world import JsonCodec
from tests.simulation.edits import Edit
from tests.simulation.workload import KILLS, RAISES, UNDECODABLE

EDITED_KINDS = ("repair", "upgrade")
CAUSELESS = "process_crash"
"""The code of a record that was in hand whenever a process ended: it may be any record."""
CODES = {RAISES: "reducer_error", KILLS: CAUSELESS}


class Fold:
    """`inputs` are all records by place, `codes` the dead letters' by the place of their record, `heads` go by seq."""

    def __init__(
        self,
        inputs: Mapping[TopicPartition, Record],
        edits: Sequence[Edit],
        codes: Mapping[TopicPartition, str],
        heads: Mapping[int, Head],
    ) -> None:
        self._inputs = inputs
        self._edits = list(edits)
        self._codes = codes
        self._codec = JsonCodec()
        self._machine = DeviceTwins()
        self._state = self._machine.empty()
        self._number = 0
        self._version = heads[0].reducer_version
        self._adoptions = {seq for seq, head in heads.items() if head.commit_id.endswith("-adopt")}

    def commit(self, commit: CommitRecord, announced: Sequence[Record]) -> Iterator[str]:
        """Reduce what one commit consumed and compare what it says and announces."""
        before = self._machine.begin(self._state)
        self._state = self._edited(before, through=commit.previous_revision)
        if self._state is not before and commit.kind not in EDITED_KINDS:
            yield f"commit {commit.seq} is a {commit.kind} on top of an edit"
        rejected = []
        for place, outcome in self._consumed(commit):
            found, rejection = self._reduce(place, outcome, entity_bytes_max=commit.entity_bytes_max)
            rejected += rejection
            if found != outcome:
                yield f"commit {commit.seq}: {place} is {outcome} there, {found} here"
        changes = self._machine.diff(before, self._state)
        yield from self._compare_facts(commit, len(changes), len(rejected), before)
        yield from self._compare_announcements(commit, announced, changes, rejected)
        if commit.reducer_version != self._version and commit.kind != "upgrade" and commit.seq not in self._adoptions:
            yield f"commit {commit.seq} is a {commit.kind} and changes the version to {commit.reducer_version}"
        self._version = commit.reducer_version

    def compare(self, stored: Mapping[str, bytes]) -> Iterator[str]:
        """Compare the final state with the store's."""
        self._state = self._edited(self._state, through=1 << 60)
        folded = {key: self._codec.encode(key, entity) for key, entity in self._machine.entities(self._state)}
        if folded != stored:
            yield f"the store has {stored}, the fold {folded}"

    def _edited(self, state: Twins, *, through: int) -> Twins:
        """Return the state after the edits up to this revision; the same one when they come to nothing."""
        entities = dict(self._machine.entities(state))
        while self._edits and self._edits[0].revision <= through:
            image = self._edits.pop(0).image
            if image is not None and image.value is None:
                entities.pop(image.key, None)
            elif image is not None:
                entities[image.key] = self._codec.decode(image.key, image.value or b"")
        if entities == dict(self._machine.entities(state)):
            return state
        return self._machine.load(entities.items())

    def _consumed(self, commit: CommitRecord) -> Iterator[tuple[TopicPartition, str]]:
        places = [(item.topic, offset) for item in commit.ranges for offset in range(item.start, item.end)]
        outcomes = [run.outcome for run in commit.outcomes for _ in range(run.count)]
        return zip([place for place in places if place in self._inputs], outcomes, strict=False)

    def _reduce(
        self, place: TopicPartition, outcome: str, *, entity_bytes_max: int
    ) -> tuple[str, list[tuple[str, str]]]:
        """Return the outcome of a record and what its rejection would be announced as: key and code."""
        record = self._inputs[place]
        if outcome == "dead_lettered" and self._codes.get(place) == CAUSELESS:
            return outcome, []
        decoded = self._codec.decode_event(record)
        key = f"rejected/{decoded.cause.event_id}"
        if isinstance(decoded, Invalid):
            return "rejected", [(key, "invalid_event")]
        if not isinstance(decoded, Accepted):
            is_told = (record.value or b"").startswith(UNDECODABLE) and self._codes.get(place) == "undecodable"
            return ("dead_lettered" if is_told else f"undecodable, dead letter {self._codes.get(place)}"), []
        if decoded.event.device in CODES and outcome == "dead_lettered":
            is_told = self._codes.get(place) == CODES[decoded.event.device]
            return (outcome if is_told else f"dead letter {self._codes.get(place)}"), []
        return self._applied(decoded.event, key, entity_bytes_max=entity_bytes_max)

    def _applied(self, event: Any, key: str, *, entity_bytes_max: int) -> tuple[str, list[tuple[str, str]]]:
        """Return the outcome of an event and what its rejection would be announced as."""
        result = self._machine.apply(self._state, event)
        if isinstance(result, Rejected):
            return "rejected", [(key, result.code)]
        if self._size(result, event.device) > max(self._size(self._state, event.device), entity_bytes_max):
            return "rejected", [(key, "entity_too_large")]
        same, self._state = result is self._state, result
        return ("unchanged" if same else "applied"), []

    def _size(self, state: Twins, name: str) -> int:
        device = state.devices.get(name)
        return 0 if device is None else len(self._codec.encode(f"device/{name}", device))

    def _compare_facts(self, commit: CommitRecord, changed: int, rejected: int, before: Twins) -> Iterator[str]:
        tells_less = commit.kind == "upgrade" or commit.seq in self._adoptions
        wanted: dict[str, Any] = {
            "changed": commit.changed if tells_less else changed,
            "rejected": rejected,
            "announcements": commit.changed + rejected,
            "first_number": self._number,
            "digest": self._digest(self._state),
            "previous_digest": self._digest(before),
            "dead_lettered": sum(run.count for run in commit.outcomes if run.outcome == "dead_lettered"),
        }
        for name, value in wanted.items():
            if getattr(commit, name) != value:
                yield f"commit {commit.seq}: {name} is {getattr(commit, name)!r}, not {value!r}"
        consumed = sum(item.count for item in commit.ranges)
        if consumed != sum(run.count for run in commit.outcomes):
            yield f"commit {commit.seq}: {commit.outcomes} for {consumed} records"
        self._number += commit.announcements

    def _compare_announcements(
        self, commit: CommitRecord, announced: Sequence[Record], changes: Sequence[Change], rejected: Sequence[Any]
    ) -> Iterator[str]:
        found = [self._told(record) for record in announced]
        wanted = [_told(change) for change in changes] + [(key, code, None, None) for key, code in rejected]
        if commit.seq in self._adoptions:
            entities = dict(self._machine.entities(self._state))
            wanted = [(item[0], "update", None, entities.get(item[0])) for item in found]
        if commit.kind == "upgrade":
            wanted = []
        if found != wanted:
            yield f"commit {commit.seq} ({commit.kind}) announces {found}, not {wanted}"

    def _told(self, record: Record) -> tuple[str, str, Device | None, Device | None]:
        key, value = (record.key or b"").decode(), msgspec.json.decode(record.value or b"")
        if key.startswith("rejected/"):
            return key, value[0], None, None
        op, before, after, _ = value
        return key, op, _device(before), _device(after)

    def _digest(self, state: Twins) -> bytes:
        bodies = ((key, self._codec.body(self._codec.encode(key, item))) for key, item in self._machine.entities(state))
        return digest_bytes(sum(entity_digest(key, body) for key, body in bodies) % MODULUS)


def _told(change: Change) -> tuple[str, str, Device | None, Device | None]:
    return change.key, change.op, change.before, change.after


def _device(text: str | None) -> Device | None:
    return None if text is None else msgspec.json.decode(text, type=Device)

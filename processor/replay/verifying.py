"""Comparing what is folded with what was recorded, commit by commit, and at the end with the store. No I/O.

For each commit: the chain (it builds on the digest, numbers, revision and version that the one before it left), the
outcome of each event, the counts, and the digest. The digest covers every entity to the byte, so it alone proves the
state; outcomes and counts say which event first made a difference. A state that differs stays different, so only the
first commit of a run of differing digests is a finding, and the rest are counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from processor.engine.announcements import CommitRecord, Outcome
from processor.engine.inputs import Positions, Record
from processor.engine.machine import Change, StateMachine
from processor.history.stored import StoredState
from processor.replay.replaying import Replayed, Step, Way

RENEWED = frozenset({"upgrade", "rebuild"})
"""Kinds of commits that may be the first of a newer version."""
FINDINGS_MAX = 100
"""How many findings are kept; more are counted."""
ENTITIES_NAMED_MAX = 20


class Finding(msgspec.Struct, frozen=True):
    """What differs at one commit; `what` is `digest`, `outcome`, `count`, `chain`, `announcement` or `state`."""

    seq: int
    what: str
    message: str


class Stretch(msgspec.Struct):
    """Successive commits of one version that were taken in the same way; `compared`: with their recorded digests."""

    first: int
    last: int
    reducer_version: int
    way: Way
    compared: bool


class Verifier:
    """Watches a replay; compares from commit `first` on, by default from the first one folded.

    `found` counts all findings, of which FINDINGS_MAX are kept; `differing` counts commits with another digest.
    """

    def __init__(self, *, first: int = 0, digest_before: str | None = None) -> None:
        self._first = first
        self._before: CommitRecord | None = None
        self._digest_before = digest_before
        self._differs = False
        self.findings: list[Finding] = []
        self.found = 0
        self.compared = 0
        self.differing = 0
        self.stretches: list[Stretch] = []

    def __call__(self, step: Step) -> None:
        """Compare one commit."""
        commit = step.commit
        wanted = commit.seq >= self._first
        self._note_stretch(step, compared=wanted and step.comparable)
        if wanted:
            for message in self._links(commit):
                self.find(Finding(commit.seq, "chain", message))
            if step.comparable:
                self._compare(step)
        self._before = commit

    def find(self, finding: Finding) -> None:
        """Count a finding, and keep it unless there are too many."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    @property
    def agrees(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    def _compare(self, step: Step) -> None:
        commit = step.commit
        self.compared += 1
        for message in _other_outcomes(step):
            self.find(Finding(commit.seq, "outcome", message))
        for message in _other_counts(step):
            self.find(Finding(commit.seq, "count", message))
        recorded = commit.digest.hex()
        if recorded == step.digest:
            if self._differs:
                self.find(Finding(commit.seq, "digest", "the digests agree again from here on"))
            self._differs = False
            return
        self.differing += 1
        if not self._differs:
            self.find(Finding(commit.seq, "digest", f"recorded {recorded}, folded {step.digest}"))
        self._differs = True

    def _links(self, commit: CommitRecord) -> Iterator[str]:
        before = self._before
        digest = bytes.fromhex(self._digest_before) if before is None and self._digest_before else None
        if before is not None:
            digest = before.digest
            yield from _chain_breaks(before, commit)
        if digest is not None and commit.previous_digest != digest:
            yield f"it was built on digest {commit.previous_digest.hex()}, the one before it left {digest.hex()}"
        if commit.announcements != commit.changed + commit.rejected:
            counts = f"{commit.changed} changes and {commit.rejected} rejections"
            yield f"it made {commit.announcements} announcements of {counts}"

    def _note_stretch(self, step: Step, *, compared: bool) -> None:
        commit = step.commit
        last = self.stretches[-1] if self.stretches else None
        way: Way = "announced" if step.way == "announced" and not step.comparable else "folded"
        if last and (last.reducer_version, last.way, last.compared) == (commit.reducer_version, way, compared):
            last.last = commit.seq
        else:
            self.stretches.append(Stretch(commit.seq, commit.seq, commit.reducer_version, way, compared))


def compare_with_store(stored: StoredState, replayed: Replayed, machine: StateMachine[Any, Any]) -> Iterator[Finding]:
    """Yield what differs between the fold and the state that the store has of the same commit."""
    theirs, ours, digest = stored.head, replayed.head, stored.digest

    def messages() -> Iterator[str]:
        if digest != theirs.digest:
            yield f"the store's state has digest {digest}, its head says {theirs.digest}"
        if digest != ours.digest:
            yield f"the store's state has digest {digest}, the folded one {ours.digest}"
        yield from _other_entities(machine.diff(machine.begin(replayed.state), stored.state))
        yield from _other_positions(theirs.positions, ours.positions)
        if theirs.announcements != ours.announcements:
            yield f"the store's next number is {theirs.announcements}, the commit log's {ours.announcements}"

    return (Finding(theirs.seq, "state", message) for message in messages())


def _other_entities(differing: Sequence[Change]) -> Iterator[str]:
    for change in differing[:ENTITIES_NAMED_MAX]:
        how = {"create": "is not in the fold", "delete": "is not in the store"}.get(change.op, "differs from the fold")
        yield f"{change.key} {how}"
    if len(differing) > ENTITIES_NAMED_MAX:
        yield f"and {len(differing) - ENTITIES_NAMED_MAX} entities more"


def _other_positions(theirs: Positions, ours: Positions) -> Iterator[str]:
    for topic, partitions in ours.items():
        for partition, position in partitions.items():
            stored = theirs.get(topic, {}).get(partition)
            if stored != position:
                yield f"the store's position in {topic}[{partition}] is {stored}, the commit log's {position}"


def _chain_breaks(before: CommitRecord, commit: CommitRecord) -> Iterator[str]:
    """Yield why a commit does not follow the one before it."""
    number = before.first_number + before.announcements
    if commit.first_number != number:
        yield f"its first announcement has number {commit.first_number}, the one before it ended at {number}"
    older_epoch, older_revision = commit.epoch < before.epoch, commit.previous_revision <= before.previous_revision
    if older_epoch and not older_revision:  # both: the store was made anew, and counts from its own beginning
        yield f"its epoch is {commit.epoch}, that of the one before it {before.epoch}"
    if older_revision and not older_epoch:
        yield f"it was built on revision {commit.previous_revision}, the one before it on {before.previous_revision}"
    if commit.cluster != before.cluster:
        yield f"it is of cluster {commit.cluster!r}, the one before it of {before.cluster!r}"
    version = before.reducer_version
    if commit.reducer_version < version or (commit.reducer_version > version and commit.kind not in RENEWED):
        yield f"it was made by version {commit.reducer_version}, the one before it by {version}"


def _other_counts(step: Step) -> Iterator[str]:
    """Yield the recorded counts that differ from those of the fold."""
    commit = step.commit
    if step.reduction is None:
        return
    now = {
        "changed": len(step.reduction.changes),
        "rejected": len(step.reduction.rejections),
        "dead_lettered": len(step.records) - len(step.events) + len(step.reduction.dead),
    }
    for name, count in now.items():
        then = getattr(commit, name)
        if then != count:
            yield f"{name} was recorded as {then}, the fold gives {count}"


def _other_outcomes(step: Step) -> Iterator[str]:
    """Yield a sentence for each event whose outcome differs from the recorded one."""
    if step.reduction is None:
        return
    now = step.reduction.outcomes
    outcomes = step.outcomes
    if step.commit.dead_lettered:
        outcomes = [outcome for outcome in outcomes if outcome != "dead_lettered"]
    if list(now) == outcomes:
        return
    then: Iterable[tuple[Record, Outcome]] = [
        one for one in zip(step.records, step.outcomes, strict=True) if one[1] != "dead_lettered"
    ]
    whys: dict[int, Any] = {index: f" ({one.code}: {one.message})" for index, one in step.reduction.rejections}
    whys |= {index: f" ({one.code}: {one.message})" for index, one in step.reduction.dead}
    for index, ((record, outcome), found) in enumerate(zip(then, now, strict=True)):
        if outcome != found:
            event = step.events[index].cause
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            name, why = f"{event.event_type} {event.event_id}", whys.get(index, "")
            yield f"{name} at {place} was recorded as {outcome}, the fold gives {found}{why}"

"""Where publishing resumes: the three output partitions may have stopped at different records. Pure.

The last data record of a partition says up to which (seq, index) it holds everything. A partition without a record that
was never written (low watermark 0) holds nothing. One that retention emptied tells nothing: then the commit log says
what was published; where that is empty too, `head.announced_seq` does, if no commit waits above it, and else a person
decides (`operator.reannouncing`). A tail ahead of the head means that the store went back in time: refused.
"""

from collections.abc import Mapping, Sequence

import msgspec

from processor.engine.announcements import CHANGES, COMMITS, DEAD_LETTERS, OutputRecord, Role, StoredEntry, Tail
from processor.engine.errors import ShardRefused
from processor.engine.outputs import change_records, commit_record, dead_letter_records
from processor.engine.values import Identity

NOTHING = (-1, -1)


class Reached(msgspec.Struct, frozen=True):
    """(seq, index) of the last record of each output partition; a record at or below it is there already."""

    changes: tuple[int, int] = NOTHING
    commits: tuple[int, int] = NOTHING
    dead_letters: tuple[int, int] = NOTHING


class Doubt(msgspec.Struct, frozen=True):
    """An output partition that was emptied, and the commits that it may have had: nothing tells whether it did."""

    role: Role
    seqs: tuple[int, ...]


def reached_by(
    tails: Mapping[Role, Tail], *, head_seq: int, announced_seq: int, outbox: Sequence[StoredEntry]
) -> Reached:
    """Return what is published; `head_seq` is −1 when there is no head.

    Raises ShardRefused when a tail is ahead of the head (the store was restored from an older backup), or nothing
    tells what was published.
    """
    check_not_ahead(tails, head_seq=head_seq)
    check_ours(tails, outbox)
    found = doubts(tails, announced_seq=announced_seq, outbox=outbox) if head_seq >= 0 else ()
    if found:
        raise ShardRefused(_sentence(found))
    return assumed(tails, announced_seq=announced_seq)


def check_not_ahead(tails: Mapping[Role, Tail], *, head_seq: int) -> None:
    """Raise ShardRefused when something was published that the store does not know of."""
    for role, tail in sorted(tails.items()):
        if tail.seq is not None and tail.seq > head_seq:
            raise ShardRefused(
                f"the output's {role} partition holds seq {tail.seq}, the store's head is at seq {head_seq}: "
                "the store was restored from an older backup, or the topic belongs to another state, "
                "or another deployment (of another etcd or prefix, with the same topics) publishes here, too. "
                "Nothing was written; processor doctor explains the choices"
            )


def check_ours(tails: Mapping[Role, Tail], outbox: Sequence[StoredEntry]) -> None:
    """Raise ShardRefused when what was published under the seq of a commit in the outbox is not that commit."""
    epochs = {stored.entry.seq: stored.entry.epoch for stored in outbox}
    for role, tail in sorted(tails.items()):
        if tail.seq is not None and tail.epoch != epochs.get(tail.seq, tail.epoch):
            raise ShardRefused(
                f"the output's {role} partition holds seq {tail.seq} of epoch {tail.epoch}, the store's commit of "
                f"that seq has epoch {epochs[tail.seq]}: another deployment (of another etcd or prefix) publishes to "
                "the same topics, its records stand among ours. Stop it, or give it another PROCESSOR_APP and topics"
            )


def doubts(tails: Mapping[Role, Tail], *, announced_seq: int, outbox: Sequence[StoredEntry]) -> tuple[Doubt, ...]:
    """Return which commits above `announced_seq` an emptied partition leaves in doubt.

    An emptied commit log: all that wait. Changes or dead letters: those which have such records and stand in the
    commit log, which proves nothing here: a transaction that a broker ended early may have left its record alone.
    """
    waiting = [stored.entry for stored in outbox if stored.entry.seq > announced_seq]
    log = tails[COMMITS].seq
    if log is not None:
        logged = [entry for entry in waiting if entry.seq <= log]
    else:
        logged = waiting if tails[COMMITS].emptied else []
    having: dict[Role, list[int]] = {
        COMMITS: [entry.seq for entry in logged],
        CHANGES: [entry.seq for entry in logged if entry.announcements],
        DEAD_LETTERS: [entry.seq for entry in logged if entry.dead_letters],
    }
    return tuple(Doubt(role, tuple(seqs)) for role, seqs in having.items() if seqs and tails[role].emptied)


def assumed(tails: Mapping[Role, Tail], *, announced_seq: int) -> Reached:
    """Return what is published, if an emptied partition had nothing above `announced_seq`."""
    return Reached(
        changes=_position(tails[CHANGES], announced_seq),
        commits=_position(tails[COMMITS], announced_seq),
        dead_letters=_position(tails[DEAD_LETTERS], announced_seq),
    )


def remaining(stored: StoredEntry, reached: Reached, identity: Identity) -> list[OutputRecord]:
    """Return what of this entry is not published yet: announcements, dead letters, commit-log record."""
    seq = stored.entry.seq
    records = change_records(stored, identity, start=_start(seq, reached.changes))
    records += dead_letter_records(stored, start=_start(seq, reached.dead_letters))
    if reached.commits[0] < seq:
        records.append(commit_record(stored, identity))
    return records


def acknowledged(outbox: Sequence[StoredEntry], reached: Reached, identity: Identity, *, announced_seq: int) -> int:
    """Return the highest seq up to which everything is published."""
    for stored in outbox:
        if stored.entry.seq <= announced_seq:
            continue
        if remaining(stored, reached, identity):
            break
        announced_seq = stored.entry.seq
    return announced_seq


def _sentence(found: Sequence[Doubt]) -> str:
    facts = " and ".join(f"the {doubt.role} partition was emptied" for doubt in found)
    seqs = sorted({seq for doubt in found for seq in doubt.seqs})
    named = f"commit {seqs[0]} waits" if len(seqs) == 1 else f"commits {seqs[0]} to {seqs[-1]} wait"
    return (
        f"{facts}, and {named} in the outbox: nothing tells what was published. "
        "processor shards announce SHARD shows them; decide with its --again or --skip"
    )


def _position(tail: Tail, announced_seq: int) -> tuple[int, int]:
    if tail.seq is not None:
        return tail.seq, tail.index
    return (announced_seq, _LAST) if tail.emptied else NOTHING


def _start(seq: int, reached: tuple[int, int]) -> int:
    if seq > reached[0]:
        return 0
    return reached[1] + 1 if seq == reached[0] else _LAST


_LAST = 1 << 62

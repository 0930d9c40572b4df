"""The verdict on a finished run, from what it leaves behind: inputs, outputs, the store, and the edits made by hand."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from processor.engine.announcements import CommitRecord
from processor.engine.inputs import Range, Record, TopicPartition
from processor.engine.values import Head
from processor.memory.store import MemoryStore
from tests.simulation.cluster import JournalledCluster
from tests.simulation.edits import Edit
from tests.simulation.fold import Fold
from tests.simulation.output import OutputBroker

"""Topic and offset."""


class Published(msgspec.Struct, frozen=True):
    """An output record and what its headers say; `number` −1 when it has none, `index` 0 for the commit log."""

    record: Record
    seq: int
    epoch: int
    index: int
    count: int
    number: int
    headers: Mapping[str, str]


def judge(broker: OutputBroker, cluster: JournalledCluster, edits: Sequence[Edit]) -> list[str]:
    """Return what is wrong, sentence by sentence."""
    return list(_Verdict(broker, cluster, edits).findings())


class _Verdict:
    def __init__(self, broker: OutputBroker, cluster: JournalledCluster, edits: Sequence[Edit]) -> None:
        self._inputs = {
            (record.topic, record.offset): record for topic in ("high", "normal") for record in broker.visible(topic)
        }
        self._log = [_published(record) for record in broker.visible("commits")]
        self._changes = [_published(record) for record in broker.visible("changes")]
        self._letters = [_published(record) for record in broker.visible("dead-letters")]
        self._commits = [msgspec.msgpack.decode(item.record.value or b"", type=CommitRecord) for item in self._log]
        self._snapshot = MemoryStore(cluster, 0).load()
        self._cluster = cluster
        self._edits = edits

    def findings(self) -> Iterator[str]:
        yield from self._sequence()
        yield from self._ranges()
        yield from self._epochs()
        yield from self._numbers()
        yield from self._dead_letters()
        yield from self._settled()
        yield from self._replayed()

    def _sequence(self) -> Iterator[str]:
        """The commit log has one record a commit, in order, each as the store's head was."""
        seqs = [commit.seq for commit in self._commits]
        if seqs != list(range(1, len(seqs) + 1)):
            yield f"the commit log has seqs {seqs}"
        heads = _first_heads(self._cluster)
        if len(heads) != len(seqs) + 1:
            yield f"the store had {len(heads) - 1} commits, the commit log has {len(seqs)} records"
        for commit, item in zip(self._commits, self._log, strict=True):
            head = heads.get(commit.seq)
            said = commit.seq, commit.epoch, commit.committed_ms, commit.digest.hex()
            if head is None or said != (head.seq, head.epoch, head.committed_ms, head.digest):
                yield f"commit {commit.seq}: the log says {said}, the head was {head}"
            if (item.seq, item.epoch) != (commit.seq, commit.epoch):
                yield f"commit {commit.seq}: its headers say {item.seq} and {item.epoch}"

    def _ranges(self) -> Iterator[str]:
        """Every record is in exactly one range, and the ranges of a partition have no hole."""
        ends = {"high": 0, "normal": 0}
        times: Counter[TopicPartition] = Counter()
        for commit in self._commits:
            for item in commit.ranges:
                end = ends[item.topic]
                if item.start != end:
                    yield f"commit {commit.seq}: {item.topic} goes on at {item.start}, it had ended at {end}"
                ends[item.topic] = item.end
                there = [place for place in _places(item) if place in self._inputs]
                times.update(there)
                if item.count != len(there):
                    yield f"commit {commit.seq}: {item} counts {item.count} records, {len(there)} are there"
        for place in self._inputs:
            if times[place] != 1:
                yield f"{place} is in {times[place]} ranges"

    def _epochs(self) -> Iterator[str]:
        """Along seq epochs never fall, and every output record has its commit's."""
        epochs = {commit.seq: commit.epoch for commit in self._commits}
        if list(epochs.values()) != sorted(epochs.values()):
            yield f"epochs fall: {epochs}"
        for item in (*self._changes, *self._letters):
            if epochs.get(item.seq) != item.epoch:
                yield f"{_name(item)} says epoch {item.epoch}, its commit {epochs.get(item.seq)}"

    def _numbers(self) -> Iterator[str]:
        """Announcements and dead letters stand in order, each once and none missing; numbers have no gap."""
        numbers = [item.number for item in self._changes]
        if numbers != list(range(len(numbers))):
            yield f"the numbers are {numbers}"
        for told, items, counts in (
            ("announcements", self._changes, {commit.seq: commit.announcements for commit in self._commits}),
            ("dead letters", self._letters, {commit.seq: commit.dead_lettered for commit in self._commits}),
        ):
            wanted = [(seq, index, count) for seq, count in counts.items() for index in range(count)]
            found = [(item.seq, item.index, item.count) for item in items]
            if found != wanted:
                yield f"{told}: {_difference(found, wanted)}"

    def _dead_letters(self) -> Iterator[str]:
        """Each dead letter has the bytes of its record."""
        for item in self._letters:
            place = _origin(item)
            record = self._inputs.get(place)
            if record is None or (record.key, record.value) != (item.record.key, item.record.value):
                yield f"{_name(item)} is not the record at {place}"

    def _settled(self) -> Iterator[str]:
        head, outbox = self._snapshot.head, [stored.entry.seq for stored in self._snapshot.outbox]
        if outbox or head is None or head.announced_seq != head.seq:
            yield f"the store still holds {outbox} and the head {head}"

    def _replayed(self) -> Iterator[str]:
        """Folding the inputs again gives every digest, every announcement and the final state."""
        codes = {_origin(item): item.headers["dead-letter-code"] for item in self._letters}
        heads = _first_heads(self._cluster)
        fold = Fold(self._inputs, self._edits, codes, heads)
        for commit in self._commits:
            announced = [item.record for item in self._changes if item.seq == commit.seq]
            yield from fold.commit(commit, announced)
        yield from fold.compare(dict(self._snapshot.entities))


def _published(record: Record) -> Published:
    headers = {name: (value or b"").decode() for name, value in record.headers}
    return Published(
        record=record,
        seq=int(headers["processor-seq"]),
        epoch=int(headers["processor-epoch"]),
        index=int(headers.get("processor-index", 0)),
        count=int(headers.get("processor-count", 1)),
        number=int(headers.get("processor-number", -1)),
        headers=headers,
    )


def _first_heads(cluster: JournalledCluster) -> dict[int, Head]:
    heads: dict[int, Head] = {}
    for written in cluster.journal:
        heads.setdefault(written.head.seq, written.head)
    return heads


def _places(item: Range) -> Iterator[TopicPartition]:
    return ((item.topic, offset) for offset in range(item.start, item.end))


def _origin(letter: Published) -> TopicPartition:
    return letter.headers["dead-letter-topic"], int(letter.headers["dead-letter-offset"])


def _name(item: Published) -> str:
    return f"{item.record.topic} offset {item.record.offset} ({item.seq}, {item.index})"


def _difference(found: Iterable[Any], wanted: Iterable[Any]) -> str:
    have, want = Counter(found), Counter(wanted)
    if have == want:
        return "out of order"
    return f"missing {sorted((want - have).elements())}, too many {sorted((have - want).elements())}"

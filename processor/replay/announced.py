"""What a shard announced, read commit by commit."""

from collections.abc import Iterable, Iterator
from itertools import chain

from processor.engine.announcements import CommitRecord
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record
from processor.engine.outputs import PROCESSOR_INDEX, header_number
from processor.history.commit_log import CommitLog, Log, seq_of
from processor.replay.errors import LogBroken


class Announced:
    """The announcements, read forwards from the first one that is wanted."""

    def __init__(self, log: Log, place: tuple[str, int]) -> None:
        self._log = log
        self._partition = place[1]
        self._name = f"{place[0]}[{place[1]}]"
        self._records: Iterator[Record] = iter(())
        self._ahead: Record | None = None

    def of(self, commit: CommitRecord) -> list[Record]:
        """Return the announcements of a commit, in their order. Raises LogBroken when one is missing."""
        if not commit.announcements:
            return []
        found = self._forwards(commit.seq)
        if len(found) < commit.announcements:
            self._start(commit.seq)
            found = self._forwards(commit.seq)
        if len(found) != commit.announcements:
            raise LogBroken(
                f"commit {commit.seq} made {commit.announcements} announcements: {self._name} has {len(found)} of them"
            )
        return found

    def _start(self, seq: int) -> None:
        self._ahead = None
        log = CommitLog(self._log, self._partition, lambda record: {"seq": seq_of(record)})
        try:
            offset = log.of_seq(seq).offset
        except InvalidRequest:
            self._records = iter(())
            return
        self._records = iter(self._log.until_end({self._partition: offset}))

    def _forwards(self, seq: int) -> list[Record]:
        """Return the records of a commit, each once, behind where reading stands."""
        found: list[Record] = []
        for record in self._following():
            if seq_of(record) > seq:
                self._ahead = record
                break
            if seq_of(record) == seq and header_number(record, PROCESSOR_INDEX) == len(found):
                found.append(record)
        return found

    def _following(self) -> Iterable[Record]:
        ahead, self._ahead = self._ahead, None
        return self._records if ahead is None else chain((ahead,), self._records)

"""Announcements made again from the fold, by the functions that made them first, and compared byte by byte."""

from collections.abc import Callable, Iterator, Sequence

from processor.engine.announcements import CommitRecord, OutputRecord, StoredEntry
from processor.engine.compose import Stamp, UnstampedCommit, compose
from processor.engine.images import Images
from processor.engine.inputs import Record
from processor.engine.outputs import TRACEPARENT, change_records
from processor.engine.ports import Encoder
from processor.engine.values import Head, Identity
from processor.history.commit_log import revision_of
from processor.replay.errors import LogBroken
from processor.replay.replaying import Step
from processor.replay.verifying import Finding

UNKNOWN_HEADERS = frozenset({TRACEPARENT})
"""Headers whose values no commit records."""


class AnnouncementVerifier:
    """Watches a replay; `announced` returns a commit's announcements, `find` receives what differs.

    `trimmed`: retention has removed the oldest, which are counted in `gone`. Announcements of commits that no event
    explains, or that another version made, cannot be made again and are skipped.
    """

    def __init__(
        self,
        app: str,
        encoder: Encoder,
        announced: Callable[[CommitRecord], Sequence[Record]],
        find: Callable[[Finding], None],
        *,
        trimmed: bool,
    ) -> None:
        self._app = app
        self._encoder = encoder
        self._announced = announced
        self._find = find
        self._trimmed = trimmed
        self.compared = 0
        self.gone = 0

    def __call__(self, step: Step) -> None:
        """Compare the announcements of one commit."""
        commit = step.commit
        if not step.comparable or step.reduction is None or not commit.announcements:
            return
        try:
            found = self._announced(commit)
        except LogBroken as error:
            self._miss(commit, error)
            return
        for message in self._differing(step, found):
            self._find(Finding(commit.seq, "announcement", message))
        self.compared += len(found)

    def _miss(self, commit: CommitRecord, error: LogBroken) -> None:
        """Count as gone what retention can have removed, which is only the oldest; anything else is a finding."""
        if self._trimmed and not self.compared:
            self.gone += commit.announcements
        else:
            self._find(Finding(commit.seq, "announcement", str(error)))

    def _differing(self, step: Step, found: Sequence[Record]) -> Iterator[str]:
        wanted = _remade(step, self._app, self._encoder, revision=revision_of(found[0]))
        if len(wanted) != len(found):
            yield f"{len(found)} were announced, the fold gives {len(wanted)}"
        for record, made in zip(found, wanted, strict=False):
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            if record.key != made.key:
                yield f"{place} has key {record.key!r}, the fold gives {made.key!r}"
            elif record.value != made.value:
                yield f"{place}, {(made.key or b'').decode()}: {_difference(record.value, made.value)}"
            elif _known(record.headers) != _known(made.headers):
                other = dict(_known(record.headers) - _known(made.headers))
                yield f"{place}, {(made.key or b'').decode()}: headers {other} differ from those of the fold"


def _remade(step: Step, app: str, encoder: Encoder, *, revision: int) -> list[OutputRecord]:
    commit, reduction = step.commit, step.reduction
    if reduction is None:
        return []
    identity = Identity(app, commit.shard, commit.cluster, commit.reducer_version)
    rejections = tuple(rejection for _, rejection in reduction.rejections)
    # the fold keeps no encoded values, so both sides of each change are encoded here
    encoded = Images(encoder).encode(reduction.changes)
    draft = UnstampedCommit(after=None, encoded=encoded, rejections=rejections)
    stamp = Stamp(
        head=Head(
            seq=commit.seq - 1,
            epoch=commit.epoch,
            commit_id="",
            committed_ms=0,
            positions={},
            topics={},
            digest=commit.previous_digest.hex(),
            reducer_version=commit.reducer_version,
            announcements=commit.first_number,
        ),
        revision=commit.previous_revision,
        epoch=commit.epoch,
        now_ms=commit.committed_ms,
        commit_id="",
        announced_seq=0,
        record_bytes_max=commit.record_bytes_max,
    )
    entry = compose(draft, stamp, identity=identity, encoder=encoder).outbox
    return [] if entry is None else change_records(StoredEntry(entry, revision), identity)


def _difference(found: bytes | None, made: bytes | None) -> str:
    """Return in words where two values differ."""
    found, made = found or b"", made or b""
    at = next((at for at, pair in enumerate(zip(found, made, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return f"{len(found)} bytes were announced, the fold gives {len(made)}"
    return f"byte {at} is {found[at]:#04x}, the fold gives {made[at]:#04x}"


def _known(headers: Sequence[tuple[str, bytes | None]]) -> set[tuple[str, bytes | None]]:
    return {header for header in headers if header[0] not in UNKNOWN_HEADERS}

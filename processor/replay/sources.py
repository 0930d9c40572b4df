"""The topics that a shard's past is read from, and how their records are decoded."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, get_args

import msgspec

from processor.avro.after_images import AfterImages
from processor.avro.catalogue import Catalogue
from processor.avro.framing import Unframed
from processor.avro.records import RecordCodec
from processor.avro.wire import Malformed
from processor.engine.announcements import CommitKind, CommitRecord, Outcome, OutcomeRun, Role
from processor.engine.inputs import Range, Record
from processor.history.commit_log import Log
from processor.replay.errors import LogBroken, TopicReplaced

COMMIT = "processor.commits.Commit"
KINDS = frozenset(get_args(CommitKind))
OUTCOMES = frozenset(get_args(Outcome))
TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999."""

INPUT_ROLES: tuple[Role, ...] = ("high", "normal")

Image = tuple[str, Any]
"""`<kind>/<name>` and the entity after the commit, None when it was deleted."""


class Sources(msgspec.Struct, frozen=True):
    """One shard's topics; `open` opens one partition by topic name, `shard` is the partition of the outputs.

    `commit` decodes a commit-log record, `image` an announcement (None for a rejection); both raise LogBroken.
    """

    shard: int
    topics: Mapping[Role, str]
    open: Callable[[str, int], AbstractContextManager[Log]]
    commit: Callable[[Record], CommitRecord]
    image: Callable[[Record], Image | None]


def check_inputs(topics: Mapping[Role, str], known: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Compare the inputs' topic ids that a head knows with the present ones, both by name. Raises TopicReplaced."""
    for role in INPUT_ROLES:
        name = topics[role]
        if name in known and name in found and known[name] != found[name]:
            raise TopicReplaced(
                f"{name} was deleted and made again: its id is {found[name]}, the state was built on {known[name]}. "
                "The records that were reduced are gone; begin at a snapshot from after that"
            )


class LogDecoder:
    """Decodes commits and announcements by their schemas."""

    def __init__(self, catalogue: Catalogue, entity_types: Mapping[str, type]) -> None:
        self._codec = RecordCodec(catalogue)
        self._images = AfterImages(catalogue, entity_types)

    def commit(self, record: Record) -> CommitRecord:
        """Return the commit of a commit-log record. Raises LogBroken."""
        try:
            name, data = self._codec.decode_record(record.value or b"")
        except (Malformed, Unframed) as error:
            raise LogBroken(f"{_place(record)} cannot be read: {error}") from error
        if name != COMMIT:
            raise LogBroken(f"{_place(record)} is a {name}, not a commit")
        ranges = tuple(
            Range(one["topic"], one["partition"], one["from"], one["to"], one["count"]) for one in data["ranges"]
        )
        outcomes = tuple(OutcomeRun(one["outcome"], one["count"]) for one in data["outcomes"])
        commit = CommitRecord(**data | {"ranges": ranges, "outcomes": outcomes})
        if not _is_plausible(commit):
            raise LogBroken(f"{_place(record)} is not plausible as commit {commit.seq}")
        return commit

    def image(self, record: Record) -> Image | None:
        """Return the entity of an announcement, None for a rejection. Raises LogBroken."""
        key = (record.key or b"").decode(errors="replace")
        kind = key.partition("/")[0]
        if kind == "rejected":
            return None
        try:
            return key, self._images.read(kind, record.value or b"")
        except (Malformed, Unframed) as error:
            raise LogBroken(f"{_place(record)} ({key}) cannot be read: {error}") from error


def _is_plausible(commit: CommitRecord) -> bool:
    if commit.kind not in KINDS or not 0 <= commit.committed_ms <= TIME_MS_MAX:
        return False
    if any(run.count <= 0 or run.outcome not in OUTCOMES for run in commit.outcomes):
        return False
    if commit.kind == "gap":
        return all(span.count == 0 for span in commit.ranges)
    return all(0 < span.count <= span.end - span.start for span in commit.ranges)


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"

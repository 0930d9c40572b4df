"""Options that name a point in the past, and going there."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from processor.cli.exits import invalid, usage
from processor.cli.output import note
from processor.cli.progress import Progress
from processor.cli.reach import Reach
from processor.cli.records import time_of

if TYPE_CHECKING:
    from processor.cluster.state import State
    from processor.locate import CommitLog
    from processor.replay.replaying import Step
    from processor.travel.points import Now, Point
    from processor.travel.stored import StoredStates, View
    from processor.travel.traveller import Past, Traveller

PUBLISHED_WAIT_S = 10.0
PUBLISHED_PAUSE_S = 0.2

AtSeq = Annotated[str | None, Parameter(name="--at-seq", help="As the commit with this number left it; 0: empty.")]
AtTime = Annotated[
    str | None,
    Parameter(
        name="--at-time",
        help="As it was then: 2026-11-25T08:00:00Z, ms since the epoch, or a while ago (10m, 1h30m).",
        allow_leading_hyphen=True,
    ),
]
AtOffset = Annotated[
    str | None,
    Parameter(name="--at-offset", help="As it was once this input record was processed: TOPIC:PARTITION:OFFSET."),
]
AtRevision = Annotated[
    str | None, Parameter(name="--at-revision", help="As it stood in the store at this revision of etcd.")
]


def past_of(
    *, at_seq: str | None, at_time: str | None, at_offset: str | None, at_revision: str | None
) -> "Past | None":
    """Return the point that the options name, None for now; of several, none is meant. Raises InvalidRequest."""
    from processor.travel import points

    given = [option for option in (at_seq, at_time, at_offset, at_revision) if option is not None]
    if len(given) > 1:
        raise usage("one point at a time: --at-seq, --at-time, --at-offset or --at-revision")
    if at_seq is not None:
        return points.at_seq(at_seq)
    if at_time is not None:
        return points.at_time(at_time, now_ms=now_ms())
    if at_offset is not None:
        return points.at_offset(at_offset)
    return None if at_revision is None else points.at_revision(at_revision)


def go(reach: Reach, shard: int, point: "Now | Past") -> "View":
    """Return the state at a point and say on stderr where it was taken from."""
    view = traveller(reach, shard).go(point)
    note(f"seq {view.seq}, committed {time_of(view.committed_ms)}, from {view.source}")
    if not view.whole:
        note(f"its digest is {view.digest}, its head says {view.head_digest}: changed without the head")
    return view


def view_at(reach: Reach, shard: int, point: "Point") -> "View":
    """Return the state at a point or in a file, saying where it was taken from."""
    from processor.travel.points import InFile

    if isinstance(point, InFile):
        return in_file(point.path)
    return go(reach, shard, point)


def traveller(reach: Reach, shard: int) -> "Traveller":
    """Return who goes to points of a shard."""
    from processor.travel.traveller import Traveller

    @contextmanager
    def store() -> "Iterator[StoredStates]":
        from processor.inspection import stored_states

        with reach.store() as client:
            yield stored_states(client, reach.settings, shard)

    return Traveller(store, lambda: commit_log(reach, shard), lambda seq: fold(reach, shard, seq), note)


@contextmanager
def commit_log(reach: Reach, shard: int) -> "Iterator[CommitLog]":
    """Open a shard's part of the commit log."""
    from processor.locate import CommitLog

    with reach.reader(reach.topics["commits"], (shard,)) as reader:
        yield CommitLog(reader, shard, lambda record: reach.decode(record).value)


def await_published(reach: Reach, shard: int, seq: int) -> None:
    """Wait a while until a commit stands in the commit log. Raises InvalidRequest for one that nobody publishes."""
    from processor.engine.errors import InvalidRequest

    deadline_s = time.monotonic() + PUBLISHED_WAIT_S
    with commit_log(reach, shard) as log:
        while seq and not log.holds(seq):
            if time.monotonic() > deadline_s:
                raise InvalidRequest(f"commit {seq} is not published yet: let a processor run, it does that first")
            time.sleep(PUBLISHED_PAUSE_S)


def state_before(reach: Reach, shard: int, seq: int) -> "State | None":
    """Return the state that a commit was built on, None where it is not to be had."""
    from processor.engine.errors import InvalidRequest, Retry, ShardRefused
    from processor.inspection import stored_states
    from processor.travel import points

    if reach.settings.server is not None:
        return None
    try:
        with reach.store() as client:
            view = stored_states(client, reach.settings, shard).at(points.AtSeq(seq - 1))
    except (InvalidRequest, Retry, ShardRefused):
        return None
    return view.state if view.whole else None


def fold(reach: Reach, shard: int, seq: int) -> "View":
    """Fold the recorded events up to a commit. Raises CommandError: records are gone."""
    from processor.replay.errors import Unreplayable
    from processor.replay.replaying import replay_to
    from processor.replay.wiring import cluster_build, cluster_sources
    from processor.travel.stored import View

    sources = cluster_sources(reach.connection, reach.topics, reach.catalogue, shard=shard)
    with Progress(seq, "events") as progress:

        def watch(step: "Step") -> None:
            progress.show(step.commit.seq, step.commit.seq)

        try:
            replayed = replay_to(sources, cluster_build(reach.settings, reach.catalogue), seq, watch=watch)
        except Unreplayable as error:
            raise invalid(str(error)) from error
    head = replayed.head
    source = f"the records, folded again from {replayed.used} ({replayed.commits} commits, {replayed.events} events)"
    return View(replayed.state, head.seq, head.committed_ms, head.digest, head.digest, source)


def in_file(path: Path) -> "View":
    """Return the state that a file holds: what `state get -o json` printed. Raises CommandError."""
    from processor.cluster.document import InvalidState, from_document
    from processor.travel.stored import View

    try:
        state = from_document(json.loads(path.read_bytes()))
    except (OSError, ValueError, InvalidState) as error:
        raise invalid(f"{path} holds no state: {error}") from error
    return View(state, -1, -1, "", "", str(path))


def now_ms() -> int:
    """Return the time, in ms since the epoch."""
    return time.time_ns() // 1_000_000

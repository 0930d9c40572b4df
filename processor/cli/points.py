"""Options that name a point in the past, and the state at it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from processor.cli import snapshots
from processor.cli.context import CommandContext
from processor.cli.exits import invalid, usage
from processor.cli.output import note
from processor.cli.progress import Progress
from processor.cli.records import time_of
from processor.cli.remote import ask
from processor.cluster.document import InvalidState, from_document
from processor.engine.errors import InvalidRequest
from processor.history import points
from processor.history.points import AtOffset as OffsetPoint
from processor.history.points import InFile, Now, Past, Point
from processor.history.stored import View
from processor.replay.snapshots import MAGIC
from processor.replay.states import StateHistory
from processor.replay.wiring import ShardPast
from processor.runtime.clock import now_ms
from processor.runtime.files import NotText, bytes_of, decoded

Read = TypeVar("Read")
AtSeq = Annotated[str | None, Parameter(name="--at-seq", help="As it was after the commit with this number; 0: empty.")]
AtTime = Annotated[
    str | None,
    Parameter(
        name="--at-time",
        help="As it was at this time: 2026-11-25T08:00:00Z, ms since the epoch, or a time ago (10m, 1h30m).",
        allow_leading_hyphen=True,
    ),
]
AtOffset = Annotated[
    str | None,
    Parameter(
        name="--at-offset",
        help="As it was after this input record was processed: TOPIC:PARTITION:OFFSET, the topic by name or role.",
    ),
]
AtRevision = Annotated[
    str | None, Parameter(name="--at-revision", help="As it was in the store at this revision of etcd.")
]


def past_of(*, at_seq: str | None, at_time: str | None, at_offset: str | None, at_revision: str | None) -> Past | None:
    """Return the point that the options name, None for now. Raises CommandError for several, and for no point."""
    given = [option for option in (at_seq, at_time, at_offset, at_revision) if option is not None]
    if len(given) > 1:
        raise usage("one point at a time: --at-seq, --at-time, --at-offset or --at-revision")
    if at_seq is not None:
        return read_as("--at-seq", points.at_seq, at_seq)
    if at_time is not None:
        return read_as("--at-time", partial(points.at_time, now_ms=now_ms()), at_time)
    if at_offset is not None:
        return read_as("--at-offset", points.at_offset, at_offset)
    return None if at_revision is None else read_as("--at-revision", points.at_revision, at_revision)


def read_as(option: str, read: Callable[[str], Read], text: str) -> Read:
    """Parse the text of an option. Raises CommandError, naming the option."""
    try:
        return read(text)
    except InvalidRequest as error:
        raise usage(f"{option}: {error}") from error


def past_in(context: CommandContext, shard: int) -> ShardPast:
    """Return one shard's past as the command's settings describe it."""
    return ShardPast(context, shard, note)


def now(context: CommandContext, shard: int) -> View:
    """Return the state now, from the store or from a processor. Raises CommandError for one of another build."""
    server = context.settings.server
    if server is None:
        with past_in(context, shard).stored_states() as states:
            return states.now()
    answer = ask(server, f"state?shard={shard}")
    try:
        state = from_document(answer["state"])
    except InvalidState as error:
        raise invalid(f"{server} has a state that this build cannot read: {error}") from error
    return View(state, answer["seq"], 0, "", "", server)


def state_at(context: CommandContext, shard: int, point: Now | Past) -> View:
    """Return the state at a point, and note its origin on stderr."""
    view = now(context, shard) if isinstance(point, Now) else _past_state(context, shard, named(context, point))
    when = f", committed {time_of(view.committed_ms)}" if view.committed_ms else ""
    note(f"seq {view.seq}{when}, from {view.source}")
    if not view.whole:
        note(f"its digest is {view.digest}, its commit says {view.head_digest}: edited by hand, or of another build")
    return view


def named(context: CommandContext, point: Past) -> Past:
    """Return a point with its topic, if given by role, replaced by its name. Raises CommandError."""
    if not isinstance(point, OffsetPoint):
        return point
    return OffsetPoint(context.topic_named(point.topic), point.partition, point.offset)


def view_at(context: CommandContext, shard: int, point: Point) -> View:
    """Return the state at a point or in a file, and note its origin on stderr."""
    if isinstance(point, InFile):
        return in_file(context, shard, point.path)
    return state_at(context, shard, point)


def in_file(context: CommandContext, shard: int, path: Path) -> View:
    """Return the state in a file: a snapshot, or the output of `state get -o json`. Raises CommandError."""
    try:
        content = bytes_of(path)
        if content.startswith(MAGIC):
            return _in_snapshot(context, shard, path)
        state = from_document(json.loads(decoded(content, str(path))))
    except (NotText, ValueError, RecursionError, InvalidState) as error:
        raise invalid(f"{path} holds no state: {error}") from error
    return View(state, -1, 0, "", "", str(path))


def _past_state(context: CommandContext, shard: int, point: Past) -> View:
    with Progress("commits") as progress:
        return StateHistory(past_in(context, shard), note, progress.show_commits).at(point)


def _in_snapshot(context: CommandContext, shard: int, path: Path) -> View:
    snapshot, restored = snapshots.read(context, shard, path)
    head = snapshot.head
    note(f"seq {head.seq}, committed {time_of(head.committed_ms)}, from {path}")
    return View(restored.state, head.seq, head.committed_ms, restored.digest, head.digest, str(path))

"""Going to points of a shard's past, for every command that does: the store, the commit log, and the records."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from processor.cli.context import NO_ADDRESS, CommandContext
from processor.cli.exits import CommandError, invalid, usage
from processor.cli.output import note
from processor.cli.progress import Progress
from processor.cli.remote import ask

if TYPE_CHECKING:
    from processor.cluster.state import State
    from processor.history.commit_log import CommitLog
    from processor.history.states import StateHistory
    from processor.history.stored import StoredStates, View
    from processor.replay.fold import Build
    from processor.replay.replaying import Start, Step
    from processor.replay.sources import Sources

PUBLISHED_WAIT_S = 10.0
PUBLISHED_PAUSE_S = 0.2
FOLDED_FOR_CAUSES_MAX = 10_000
"""How many commits are folded to learn what a history's commits were built on."""
NOT_EMBEDDED = "a processor's API tells of now only"


def traveller(context: CommandContext, shard: int) -> "StateHistory":
    """Return who goes to points of a shard."""
    from processor.history.states import StateHistory

    def fold(seq: int) -> "View":
        with Folder(context, shard) as folder:
            return folder(seq)

    return StateHistory(lambda: stored(context, shard), lambda: commit_log(context, shard), fold, note)


def now(context: CommandContext, shard: int) -> "View":
    """Return the state now, from the store or from a processor. Raises CommandError for one of another build."""
    if context.settings.server is None:
        with stored(context, shard) as states:
            return states.now()
    from processor.cluster.document import InvalidState, from_document
    from processor.history.stored import View

    told = ask(context.settings.server, f"state?shard={shard}")
    try:
        state = from_document(told["state"])
    except InvalidState as error:
        raise invalid(f"{context.settings.server} has a state that this build cannot read: {error}") from error
    return View(state, told["seq"], 0, "", "", context.settings.server)


@contextmanager
def stored(context: CommandContext, shard: int) -> "Iterator[StoredStates]":
    """Open a shard's states in the store. Raises StoreUnavailable where a processor's API stands for the store."""
    from processor.admin.shards import stored_states
    from processor.engine.errors import StoreUnavailable

    if context.settings.server is not None:
        raise StoreUnavailable(NOT_EMBEDDED)
    with context.store() as client:
        yield stored_states(client, context.settings, shard)


@contextmanager
def commit_log(context: CommandContext, shard: int) -> "Iterator[CommitLog]":
    """Open a shard's part of the commit log."""
    from processor.history.commit_log import CommitLog

    if not context.knows_brokers:
        raise usage(NO_ADDRESS)
    with context.reader(context.topics["commits"], (shard,)) as reader:
        yield CommitLog(reader, shard, lambda record: context.decode(record).value)


def await_published(context: CommandContext, shard: int, seq: int) -> None:
    """Wait a while until a commit stands in the commit log. Raises InvalidRequest for one that nobody publishes."""
    from processor.engine.errors import InvalidRequest

    deadline_s = time.monotonic() + PUBLISHED_WAIT_S
    with commit_log(context, shard) as log:
        while seq and not log.holds(seq):
            if time.monotonic() > deadline_s:
                raise InvalidRequest(f"commit {seq} is not published yet: let a processor run, it does that first")
            time.sleep(PUBLISHED_PAUSE_S)


class Folder:
    """Folds the recorded events of a shard up to commits; goes on from where it was, when that is on the way.

    A context: it keeps its connections to the brokers.
    """

    def __init__(self, context: CommandContext, shard: int) -> None:
        self._context = context
        self._shard = shard
        self._last: Start | None = None
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, seq: int, *, commits_max: int | None = None) -> "View":
        """Return the state that a commit left. Raises CommandError: records are gone, or it is too far away."""
        from processor.history.stored import View
        from processor.replay.errors import Unreplayable
        from processor.replay.replaying import Start, replay_to
        from processor.replay.wiring import cluster_build

        context = self._context
        build = cluster_build(context.settings, context.catalogue)
        start = self._start(seq, build)
        if not context.knows_brokers:
            raise usage(NO_ADDRESS)
        if commits_max is not None and seq - start.seq > commits_max:
            raise invalid(f"{seq - start.seq} commits would have to be folded")
        steps: list[Step] = []
        with Progress(seq - start.seq, "commits") as progress:

            def watch(step: "Step") -> None:
                steps[:] = [step]
                progress.show(step.commit.seq - start.seq, step.commit.seq - start.seq)

            try:
                replayed = replay_to(self._sources, build, seq, start=start, watch=watch)
            except Unreplayable as error:
                raise invalid(str(error)) from error
        self._last = Start(replayed.head, replayed.state, start.source)
        head, last = replayed.head, steps[-1] if steps else None
        return View(
            state=replayed.state,
            seq=head.seq,
            committed_ms=head.committed_ms,
            digest=head.digest,
            head_digest=last.commit.digest.hex() if last and last.comparable else head.digest,
            source=f"the records, folded again from {start.source} ({replayed.commits} commits)",
        )

    @cached_property
    def _sources(self) -> "Sources":
        from msgspec.structs import replace

        from processor.history.topics import opened_once
        from processor.replay.wiring import cluster_sources

        context = self._context
        sources = cluster_sources(context.connection, context.topics, context.catalogue, shard=self._shard)
        return replace(sources, open=opened_once(sources.open, self._opened))

    def _start(self, seq: int, build: "Build") -> "Start":
        """Return the nearest place to begin at: where the last fold ended, a periodic snapshot, or the beginning."""
        from processor.replay.wiring import shelf_of

        last = self._last
        if last is not None and last.seq == seq:
            return last
        kept = shelf_of(self._context.settings, self._shard, note).nearest(seq, build)
        return last if last is not None and kept.seq <= last.seq <= seq else kept


class StatesBefore:
    """What commits were built on; to be asked in ascending order, so that folding goes on instead of beginning anew.

    A context: it keeps its connection to the store.
    """

    def __init__(self, context: CommandContext, shard: int) -> None:
        self._opened = ExitStack()
        self._states = partial(stored, context, shard)
        self._stored: StoredStates | None = None
        self._fold = self._opened.enter_context(Folder(context, shard))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, seq: int) -> "State | None":
        """Return the state before a commit, None where it is not to be had."""
        state: State | None = self._kept(seq - 1) or self._folded(seq - 1)
        return state

    def _kept(self, seq: int) -> "State | None":
        from processor.engine.errors import InvalidRequest, Retry, ShardRefused
        from processor.history.points import AtSeq

        try:
            if self._stored is None:
                self._stored = self._opened.enter_context(self._states())
            view = self._stored.at(AtSeq(seq))
        except (InvalidRequest, Retry, ShardRefused):
            return None
        return view.state if view.whole else None

    def _folded(self, seq: int) -> "State | None":
        from processor.engine.errors import InvalidRequest, Retry

        try:
            view = self._fold(seq, commits_max=FOLDED_FOR_CAUSES_MAX)
        except (CommandError, InvalidRequest, Retry):
            return None
        return view.state if view.whole else None

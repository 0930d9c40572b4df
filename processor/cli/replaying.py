"""One replay of one shard with what it needs from outside: where it begins, what it is compared with."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from processor.cli.context import CommandContext
from processor.cli.exits import usage
from processor.cli.output import note
from processor.cli.progress import Progress

if TYPE_CHECKING:
    from processor.replay.fold import Build
    from processor.replay.nearest import SnapshotDirectory
    from processor.replay.replaying import Replayed, Start, Step
    from processor.replay.report import Report
    from processor.replay.sources import Sources
    from processor.replay.verifying import Verifier
    from processor.replay.whatif import Changed, WhatIf

    Watch = Callable[[Step], None]


class ShardReplay:
    """What is folded is read from the topics; the store is asked for a start, and at the end."""

    def __init__(self, context: CommandContext, shard: int) -> None:
        from processor.replay.wiring import cluster_build, cluster_sources

        self._context = context
        self._shard = shard
        self.build: Build = cluster_build(context.settings, context.catalogue)
        self._sources: Sources = cluster_sources(context.connection, context.topics, context.catalogue, shard=shard)

    def check_inputs(self, start: "Start") -> None:
        """Raise TopicReplaced when an input is another one than the state was built on, as far as that is known."""
        from processor.admin.shards import input_facts
        from processor.engine.errors import Retry
        from processor.etcd.past import EtcdHeads
        from processor.replay.sources import check_inputs
        from processor.replay.storing import shard_keys

        settings, topics = self._context.settings, self._context.topics
        known = start.head.topics if start.head else {}
        if self._context.connection.embedded:
            return
        try:
            if not known:
                with self._context.store() as client:
                    newest = EtcdHeads(client, shard_keys(settings, self._shard)).newest()
                known = newest.head.topics if newest else {}
            found = input_facts(settings, topics, self._shard).topic_ids
        except Retry:
            return
        check_inputs(topics, known, found)

    def start(self, from_seq: int | None, from_snapshot: Path | None, target: int) -> "Start":
        """Return where to begin. Raises Unreplayable, CommandError."""
        from processor.replay.replaying import BEGINNING

        if from_seq is not None:
            if not 1 <= from_seq <= target:
                raise usage(f"--from-seq {from_seq}: there are commits 1 to {target}")
            return self._nearest(from_seq - 1)
        if from_snapshot is None:
            return BEGINNING
        try:
            start = self._shelf().start(from_snapshot, self.build)
        except OSError as error:
            raise usage(f"cannot read {from_snapshot}: {error.strerror}") from error
        if start.seq > target:
            raise usage(f"{from_snapshot} is of seq {start.seq}, behind the last commit to fold, {target}")
        return start

    def advice(self) -> str:
        """Return what can still be done when records are gone."""
        from processor.replay.errors import Unreplayable
        from processor.replay.recorded import first_foldable

        try:
            first = first_foldable(self._sources)
        except Unreplayable as error:
            return f"The commit log does not tell from where on all are there: {error}"
        return (
            f"From seq {first} on all records are there: --from-seq {first} begins there if the store's history or a "
            f"snapshot of PROCESSOR_SNAPSHOTS__DIRECTORY has the state of {first - 1}, --from-snapshot at a file"
        )

    def run(
        self, target: int, start: "Start", *, from_seq: int | None, verify: bool, announcements: bool
    ) -> "tuple[Report, Replayed]":
        """Fold up to a commit."""
        from processor.replay.replaying import replay_to
        from processor.replay.report import report_of, verified
        from processor.replay.verifying import Verifier
        from processor.runtime.garbage import freeze_heap

        before = start.head.digest if start.head else None
        verifier = Verifier(first=from_seq or 0, digest_before=before) if verify else None
        watches: list[Watch] = [] if verifier is None else [verifier]
        freeze_heap()
        began_s = time.monotonic()
        with self._announcements(verifier if announcements else None, watches) as told:
            with _shown(target - start.seq, watches) as watch:
                replayed = replay_to(self._sources, self.build, target, start=start, watch=watch)
            seconds = time.monotonic() - began_s
            report = report_of(self._context.settings.clusters[self._shard], start.seq, replayed, seconds=seconds)
            if verifier is not None:
                live = self._compare_with_store(replayed, verifier)
                report = verified(report, verifier, live=live, announcements=told())
        return report, replayed

    def instead(self, target: int, start: "Start", build: "Build", changed: "Changed") -> "WhatIf":
        """Fold up to a commit, and beside it another history."""
        from processor.replay.whatif import what_if

        with _shown(target - start.seq, []) as watch:
            return what_if(self._sources, self.build, build, target, start=start, changed=changed, watch=watch)

    def _shelf(self) -> "SnapshotDirectory":
        from processor.replay.wiring import shelf_of

        return shelf_of(self._context.settings, self._shard, note)

    def _nearest(self, seq: int) -> "Start":
        """Return the nearest start before a commit: the store's history has it exactly, or not at all."""
        from processor.engine.errors import InvalidRequest, ShardRefused, StoreUnavailable
        from processor.replay.replaying import Start
        from processor.replay.standing import standing
        from processor.replay.storing import shard_keys

        kept = self._shelf().nearest(seq, self.build)
        if kept.seq == seq:
            return kept
        try:
            with self._context.store() as client:
                found = standing(client, shard_keys(self._context.settings, self._shard), self.build, seq=seq)
        except (InvalidRequest, ShardRefused, StoreUnavailable):
            return kept
        if found.restored.digest != found.head.digest:
            return kept
        return Start(found.head, found.restored.state, f"the store's history, seq {seq}")

    @contextmanager
    def _announcements(self, verifier: "Verifier | None", watches: "list[Watch]") -> Iterator[Callable[[], str]]:
        """Compare announcements as well, where a verifier wants them; give what can be said of it afterwards."""
        if verifier is None:
            yield lambda: ""
            return
        from processor.replay.announced import Announced
        from processor.replay.announcing import AnnouncementVerifier

        place = self._sources.topics["changes"], self._shard
        with self._sources.open(*place) as log:
            told = AnnouncementVerifier(
                self._context.settings.app,
                self.build.encoder,
                Announced(log, place).of,
                verifier.find,
                trimmed=log.watermarks()[self._shard].low > 0,
            )
            watches.append(told)
            yield lambda: f"{told.compared:,} compared, {told.gone:,} are gone"

    def _compare_with_store(self, replayed: "Replayed", verifier: "Verifier") -> str:
        from processor.engine.errors import StoreUnavailable
        from processor.etcd.failures import HistoryGoneError
        from processor.replay.errors import StoreBehind
        from processor.replay.live import compare_with
        from processor.replay.standing import standing
        from processor.replay.storing import shard_keys
        from processor.replay.verifying import Finding

        keys = shard_keys(self._context.settings, self._shard)
        try:
            with self._context.store() as client:
                found = standing(client, keys, self.build, seq=replayed.seq)
        except (HistoryGoneError, StoreUnavailable) as error:
            return f"not compared: {error}"
        except StoreBehind as error:
            verifier.find(Finding(replayed.seq, "state", str(error)))
            return "it is older"
        for finding in compare_with(found.live, replayed, self.build.machine):
            verifier.find(finding)
        return f"compared at seq {found.head.seq}"


@contextmanager
def _shown(commits: int, watches: "list[Watch]") -> "Iterator[Watch]":
    """Show on a terminal how far a fold has come, and hand every commit on."""
    done = events = 0
    with Progress(commits, "events") as progress:

        def watch(step: "Step") -> None:
            nonlocal done, events
            done += 1
            events += len(step.events)
            progress.show(done, events)
            for other in watches:
                other(step)

        yield watch

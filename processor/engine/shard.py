"""One shard's life in this process: stand by, take over, run, hand over; refuse what must not be run."""

from collections.abc import Callable

from processor.engine.announcing import Announcer, BackgroundAnnouncer, InlineAnnouncer
from processor.engine.errors import InvalidRequest, OwnershipLost, Retry, ShardRefused, SinkUnavailable
from processor.engine.health import NOT_OWNED, ShardStatus
from processor.engine.orchestrator import Orchestrator
from processor.engine.parts import Parts
from processor.engine.publisher import Publisher
from processor.engine.recovery import Recovered
from processor.engine.requests import Requests
from processor.engine.stall import Stall
from processor.engine.takeover import take_over

CALL_SHOWN_AFTER_S = 5.0
"""A call of the publisher is shown once it takes this long, for liveness."""


class ShardRunner:
    """Runs until `stopping` says so. Every operating error ends in a pause, a new campaign or a refusal.

    `may_campaign` is asked while the shard is not ours: its no comes after a wait, and it may raise Retry.
    `hand_over_asked` is asked between two batches: another instance is to own the shard. `leave_to_peers` is asked when
    we do not get on: whether peers may try, which leaves the shard to them.
    """

    def __init__(  # noqa: PLR0913 - what is handed in
        self,
        parts: Parts,
        *,
        status: ShardStatus,
        stopping: Callable[[], bool],
        may_campaign: Callable[[], bool] = lambda: True,
        hand_over_asked: Callable[[], bool] = lambda: False,
        leave_to_peers: Callable[[], bool] = lambda: False,
        once: bool = False,
    ) -> None:
        self._parts = parts
        self._stopping = stopping
        self._may_campaign = may_campaign
        self._hand_over_asked = hand_over_asked
        self._leave_to_peers = leave_to_peers
        self._stall = Stall(parts.limits.stall_timeout_ms / 1000)
        self._left_to_peers = False
        self._unsettled = False
        self._once = once
        self._done = False
        self._pause_ms = parts.limits.retry_pause_ms
        self._refused_at = 0
        self.status = status
        status.log = parts.callbacks.log
        self._show_life()

    def run(self) -> None:
        """Own the shard whenever we may and nobody else does; return when stopping, with the shard handed over.

        Ownership stays open: its lease may serve other shards, too.
        """
        try:
            while not self._ended():
                epoch = self._campaign()
                if epoch is not None:
                    self._own(epoch)
        finally:
            self.status.update(phase="stopped")

    def _ended(self) -> bool:
        return self._done or self._stopping()

    def _leaving(self) -> bool:
        return self._stopping() or self._hand_over_asked() or self._gives_up()

    def _gives_up(self) -> bool:
        """Tell whether we make no progress, and peers may try."""
        if self._left_to_peers:
            return True
        reason = self._stall.reason(self._parts.clock.monotonic_s())
        if not reason or not self._leave_to_peers():
            return False
        self._left_to_peers = True
        self._stall.gave_up()
        self._parts.callbacks.log(
            "shard_left_to_peers", shard=self._parts.identity.shard, reason=f"{reason}: {self.status.health.why}"
        )
        return True

    def _campaign(self) -> int | None:
        try:
            if not (self._unsettled or self._may_campaign()):
                self._stand_by()
                return None
            self._unsettled = True  # without an answer the shard may be ours: only another campaign tells
            epoch = self._parts.ownership.campaign()
            self._unsettled = False
        except Retry as error:
            self._pause(error)
            return None
        if epoch is None:
            self._stand_by()
            self._parts.clock.sleep(self._parts.limits.standby_interval_ms / 1000)
        return epoch

    def _stand_by(self) -> None:
        self.status.update(phase="standby", reason="", troubles=(), seen_s=self._parts.clock.monotonic_s())

    def _own(self, epoch: int) -> None:
        parts = self._parts
        self._left_to_peers = False
        self._stall.begin(parts.clock.monotonic_s())
        publisher = self._new_publisher()
        announcer = self._new_announcer(publisher)
        orchestrator, clean = None, False
        try:
            orchestrator = self._taken_over(epoch, publisher)
            if orchestrator is not None:
                announcer.start()
                self._loop(orchestrator, publisher, announcer)
                clean = self._hand_over(orchestrator, publisher, announcer)
        except OwnershipLost as lost:
            parts.callbacks.log("ownership_lost", shard=parts.identity.shard, epoch=epoch, reason=str(lost))
            # whether another owns it is not known yet; why we pause, if we do, is still true
            self.status.update(phase="starting", troubles=())
        except (ShardRefused, InvalidRequest) as refused:
            self._refuse(epoch, refused)
            self._refused_at = self._refused_at if orchestrator is None else orchestrator.revision
        finally:
            announcer.stop(self._show_life)
            self.status.update(**NOT_OWNED)
            publisher.close()
            released = self._release(epoch, clean=clean)
            self._close_inputs()
        if self.status.health.phase == "refused":
            self._await_a_person(epoch, released=released)

    def _taken_over(self, epoch: int, publisher: Publisher) -> Orchestrator | None:
        parts = self._parts
        self.status.update(phase="starting", epoch=epoch, troubles=())
        began_s = parts.clock.monotonic_s()
        while not self._leaving():
            try:
                self._refused_at = parts.store.read_head().head_revision
                recovered = take_over(parts, epoch=epoch, publisher=publisher, requests=self._requests())
                orchestrator = self._new_orchestrator(recovered, epoch=epoch, publisher=publisher)
                orchestrator.begin(recovered)
            except Retry as error:
                self._check_lease()
                self._pause(error)
                continue
            self._recovered()
            took_ms = round((parts.clock.monotonic_s() - began_s) * 1000)
            parts.callbacks.log(
                "shard_taken_over", shard=parts.identity.shard, epoch=epoch, seq=recovered.head.seq, took_ms=took_ms
            )
            return orchestrator
        return None

    def _requests(self) -> Requests:
        return Requests(self._parts, self.status, stopping=self._leaving)

    def _new_publisher(self) -> Publisher:
        parts = self._parts
        identity, limits, failpoint = parts.identity, parts.limits, parts.callbacks.failpoint
        return Publisher(
            parts.sink,
            parts.ownership,
            identity=identity,
            limits=limits,
            failpoint=failpoint,
            monotonic_s=parts.clock.monotonic_s,
        )

    def _new_announcer(self, publisher: Publisher) -> Announcer:
        background = self._parts.announce_in_background
        return (BackgroundAnnouncer if background else InlineAnnouncer)(self._parts, publisher)

    def _new_orchestrator(self, recovered: Recovered, *, epoch: int, publisher: Publisher) -> Orchestrator:
        return Orchestrator(
            self._parts, recovered, epoch=epoch, publisher=publisher, status=self.status, stopping=self._leaving
        )

    def _loop(self, orchestrator: Orchestrator, publisher: Publisher, announcer: Announcer) -> None:
        while not (self._ended() or self._leaving()):
            self._check_lease()
            try:
                announcer.announce()
                self._show_troubles(announcer)
                self._show_output(publisher)
                reason = self._held_up(publisher)
                if reason:
                    self._pause(Retry(reason))
                    continue
                report = orchestrator.step()
            except Retry as error:
                self._pause(error)
                continue
            self._stall.got_round(self._parts.clock.monotonic_s())
            self._recovered()
            if report is None:
                if self._once and orchestrator.idle and not publisher.waiting[0]:
                    self._done = True
                orchestrator.wait()

    def _show_troubles(self, announcer: Announcer) -> None:
        troubles = tuple(filter(None, (self._parts.callbacks.trouble(), announcer.trouble)))
        health = self.status.health
        if troubles != health.troubles or announcer.fencings != health.fencings:
            self.status.update(troubles=troubles, fencings=announcer.fencings)

    def _held_up(self, publisher: Publisher) -> str:
        if publisher.full:
            return "the output is behind: too many commits wait to be published"
        pressure = self._parts.callbacks.pressure()
        if pressure:
            self._stall.got_round(self._parts.clock.monotonic_s())  # it presses upon every peer
        return pressure

    def _show_output(self, publisher: Publisher) -> None:
        now_s, since_s = self._parts.clock.monotonic_s(), publisher.called_since_s
        self._stall.saw_output(now_s, waiting=publisher.waiting[0], acknowledged_seq=publisher.acknowledged_seq)
        since_s = since_s if now_s - since_s > CALL_SHOWN_AFTER_S else 0.0
        if since_s != self.status.health.publishing_since_s:
            self.status.update(publishing_since_s=since_s)

    def _hand_over(self, orchestrator: Orchestrator, publisher: Publisher, announcer: Announcer) -> bool:
        """Finish what is under way and publish it; what cannot be published stays in the outbox for the next owner."""
        try:
            orchestrator.settle()
            self._parts.callbacks.failpoint("in_shutdown")
            is_free = announcer.stop(self._show_life)
            announcer.announce()
            if announcer.trouble or not is_free:
                raise SinkUnavailable(announcer.trouble or "output: the last transaction has not ended")
            while publisher.pump():
                pass
            orchestrator.note_end()
        except Retry as error:
            self._parts.callbacks.log("handed_over_unpublished", shard=self._parts.identity.shard, reason=str(error))
        if not self._ended():
            self._parts.callbacks.log("shard_handed_over", shard=self._parts.identity.shard)
            self.status.update(phase="starting", troubles=())
        return True

    def _release(self, epoch: int, *, clean: bool) -> bool:
        try:
            self._parts.ownership.release(epoch, clean=clean)
        except Retry as error:
            self._parts.callbacks.log("release_failed", shard=self._parts.identity.shard, reason=str(error))
            self._unsettled = True
            return False
        return True

    def _close_inputs(self) -> None:
        self._parts.source.close()
        if self._parts.ticker is not None:
            self._parts.ticker.close()

    def _refuse(self, epoch: int, refused: ShardRefused | InvalidRequest) -> None:
        self._parts.callbacks.log("shard_refused", shard=self._parts.identity.shard, epoch=epoch, reason=str(refused))
        self.status.update(phase="refused", reason=str(refused), troubles=())
        self._done = self._once

    def _await_a_person(self, epoch: int, *, released: bool) -> None:
        """Wait until the head is another than the one that was refused; no new campaign before.

        A shard that could not be given up is given up here: our lease lives on, and nobody else could own it.
        """
        while not self._ended():
            self._parts.clock.sleep(self._parts.limits.peek_interval_ms / 1000)
            released = released or self._release(epoch, clean=False)
            if self._head_revision() not in {None, self._refused_at}:
                self.status.update(phase="starting", reason="")
                return

    def _head_revision(self) -> int | None:
        try:
            return self._parts.store.read_head().head_revision
        except Retry:
            return None

    def _check_lease(self) -> None:
        if not self._parts.ownership.alive():
            raise OwnershipLost("the lease ran out")

    def _pause(self, error: Retry) -> None:
        self.status.update(reason=str(error), moved_s=self._parts.clock.monotonic_s())
        self._parts.clock.sleep(self._pause_ms / 1000)
        self._pause_ms = min(2 * self._pause_ms, self._parts.limits.retry_pause_max_ms)

    def _show_life(self) -> None:
        self.status.update(moved_s=self._parts.clock.monotonic_s())

    def _recovered(self) -> None:
        if self._pause_ms == self._parts.limits.retry_pause_ms:
            return
        self._pause_ms = self._parts.limits.retry_pause_ms
        self.status.update(reason="")

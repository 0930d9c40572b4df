"""One run of a processor: alive until it is stopped or killed, and every call it makes may be its last."""

from collections.abc import Callable
from random import Random

from tests.simulation.cluster import JournalledCluster
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Ended, Scheduler

LEASE_TTL_MS = 1000.0
WALL_BEGIN_MS = 1_700_000_000_000
STALL_MAX_MS = 2.5 * LEASE_TTL_MS

Tell = Callable[[str, str], None]


class Stage:
    """What all processes of one run share."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.faults = faults
        self.scheduler = Scheduler(Random(f"{seed}/ties"))
        self.cluster = JournalledCluster()
        self.schedule: list[str] = []
        self.wall_offset_ms = 0.0
        self.pressure_until_ms = 0.0
        self.version = 1

    def now_ms(self) -> int:
        """Return wall time."""
        return WALL_BEGIN_MS + int(self.scheduler.now_ms + self.wall_offset_ms)

    def tell(self, who: str, what: str) -> None:
        """Add a line to the schedule; what a fault does begins with an exclamation mark."""
        self.schedule.append(f"{self.scheduler.now_ms:9.2f} {who}: {what}")


class Process:
    """The process that ports belong to. Dead ones can do nothing: their calls have no effect and do not return."""

    def __init__(self, stage: Stage, name: str, chance: Random) -> None:
        self.stage = stage
        self.name = name
        self.dead = False
        self.stopping = False
        self.version = stage.version
        self.lease = ""
        self.lease_notice_ms = 0.0
        self._leases = 0
        self.chance = chance

    def touch(self, what: str) -> None:
        """Take a little time: here others run, and here it may end. Every port calls it before and after its effect."""
        faults = self.stage.faults
        self.pause(self.chance.choice((0.1, 0.3, 0.5, 1.0, 4.0)))
        if faults.strikes("stall"):
            self._stall(faults.chance("stall").uniform(1.0, STALL_MAX_MS), what)
        if faults.strikes("crash"):
            self.kill(f"crashes at {what}")
            raise Ended
        if faults.strikes("crash with clean-up"):
            self.tell(f"! ends with an exception at {what}")
            raise Ended

    def pause(self, duration_ms: float) -> None:
        """Wait. Raises Ended when the process was killed meanwhile."""
        self._check()
        self.stage.scheduler.pause(duration_ms)
        self._check()

    def tell(self, what: str) -> None:
        """Add a line to the schedule."""
        self.stage.tell(self.name, what)

    def kill(self, why: str) -> None:
        """End it at once; the lease runs out by itself."""
        if not self.dead:
            self.tell(f"! {why}")
            self.dead = True
            self._expire_later(self.chance.uniform(0.3, 1.0) * LEASE_TTL_MS)

    def end(self) -> None:
        """Note that its thread ended, of itself or by an exception: nothing keeps its lease alive any more."""
        if not self.dead:
            self.tell("ends")
            self.dead = True
            self._expire_later(LEASE_TTL_MS)

    def new_lease(self) -> str:
        """Return a lease that nobody had before."""
        self._leases += 1
        self.lease = f"{self.name}/{self._leases}"
        self.lease_notice_ms = float("inf")
        return self.lease

    def lose_lease(self, *, notice_after_ms: float) -> None:
        """End the lease now; the process learns of it later, and is a zombie until then."""
        self.stage.cluster.expire(self.lease)
        self.lease_notice_ms = min(self.lease_notice_ms, self.stage.scheduler.now_ms + notice_after_ms)
        self.tell(f"! loses its lease, learns of it after {notice_after_ms:.0f} ms")

    def _stall(self, duration_ms: float, what: str) -> None:
        self.tell(f"! stalls for {duration_ms:.0f} ms at {what}")
        if duration_ms > LEASE_TTL_MS:
            self._expire_later(LEASE_TTL_MS)
            notice = self.stage.faults.chance("stall").choice((0.0, 20.0, LEASE_TTL_MS))
            self.lease_notice_ms = self.stage.scheduler.now_ms + duration_ms + notice
        self.pause(duration_ms)

    def _expire_later(self, delay_ms: float) -> None:
        lease = self.lease
        self.stage.scheduler.after(delay_ms, lambda: self.stage.cluster.expire(lease))

    def _check(self) -> None:
        if self.dead:
            raise Ended

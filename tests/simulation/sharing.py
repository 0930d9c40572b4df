"""Many processes share many shards in virtual time: the real policy and the real `Rebalancer`, over a store in memory.

What a shard's thread does is played: it asks whether it may campaign, campaigns, and hands over when it is asked to,
each with a delay of chance. A process that is killed or frozen does nothing more, and its lease ends by itself.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from processor.engine.rebalancer import Rebalancer
from processor.engine.stall import Stall
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryMembership, MemoryOwnership
from tests.simulation.scheduler import Scheduler

TTL_MS = 5000.0
EXPIRY_LOOK_MS = 500.0
"""How often the store looks for leases that have ended."""
LOOK_INTERVAL_MS = 200.0
ANSWER_MAX_MS = 30.0
HAND_OVER_MIN_MS, HAND_OVER_MAX_MS = 20.0, 600.0


class Table:
    """The shards, and the processes around them.

    `moves` counts how often a shard got an owner, `vacant_ms` has how long each was without one at most.
    """

    def __init__(self, seed: int, *, shards: int) -> None:
        self.shards = shards
        self.chance = Random(f"{seed}/table")
        self.scheduler = Scheduler(Random(f"{seed}/ties"))
        self.cluster = MemoryCluster()
        self.players: dict[str, Player] = {}
        self.moves = 0
        self.vacant_ms: dict[int, float] = {}
        self._vacant_since_ms: dict[int, float] = {}
        self._names = 0
        self.note()

    @property
    def now_s(self) -> float:
        """Virtual time."""
        return self.scheduler.now_ms / 1000

    def join(self, *, excluded: frozenset[int] = frozenset()) -> "Player":
        """Let another process come."""
        self._names += 1
        player = Player(self, f"p{self._names}", Random(f"{self.chance.random()}/{self._names}"), excluded)
        self.players[player.name] = player
        player.begin()
        return player

    def owned(self) -> dict[str, set[int]]:
        """Return what each process owns, by name; who owns nothing has an empty set."""
        owned: dict[str, set[int]] = {name: set() for name in self.players}
        for shard, lease in self.cluster.members(self.shards)[1].items():
            owned.setdefault(lease.partition("#")[0], set()).add(shard)
        return owned

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.scheduler.run(until_ms=self.scheduler.now_ms + 1000 * seconds)

    def expire(self, lease: str) -> None:
        """End a lease."""
        self.cluster.expire(lease)
        self.note()

    def note(self) -> None:
        """Look who owns what; called after every change."""
        now_ms = self.scheduler.now_ms
        owners = self.cluster.members(self.shards)[1]
        for shard in range(self.shards):
            if shard not in owners:
                self._vacant_since_ms.setdefault(shard, now_ms)
                continue
            since_ms = self._vacant_since_ms.pop(shard, None)
            if since_ms is not None:
                self.vacant_ms[shard] = max(self.vacant_ms.get(shard, 0.0), now_ms - since_ms)
                self.moves += 1

    def forget(self) -> None:
        """Count moves and times without owner anew."""
        self.moves = 0
        self.vacant_ms = {}


class Player:
    """One process. `monotonic_s`, `now_ms` and `sleep` are its clock."""

    def __init__(self, table: Table, name: str, chance: Random, excluded: frozenset[int]) -> None:
        self.name = name
        self.excluded = excluded
        self._table = table
        self._chance = chance
        self._life = 0
        self._frozen: list[Callable[[], None]] | None = None
        self._busy: set[int] = set()
        self._epochs: dict[int, int] = {}
        self._stalls: dict[int, Stall] = {}
        self._membership = MemoryMembership(table.cluster, name, shards=table.shards)
        self._claims = [MemoryOwnership(table.cluster, shard, name) for shard in range(table.shards)]
        self.sharing = Rebalancer(
            self._membership,
            instance=name,
            shards=table.shards,
            ttl_s=TTL_MS / 1000,
            interval_s=0.0,
            clock=self,
            excluded=lambda: self.excluded,
        )

    def begin(self) -> None:
        """Look and act from now on."""
        self._soon(self._look)

    def kill(self) -> None:
        """End it at once; its lease ends when nobody prolongs it."""
        self._gone()
        self._expire_later()

    def freeze(self, duration_ms: float) -> None:
        """Stop it for a while, unless it is stopped: what it was about to do it does afterwards."""
        if self._frozen is not None:
            return
        self._frozen = []
        if duration_ms > TTL_MS:
            self._expire_later()
        self._table.scheduler.after(duration_ms, self._thaw)

    def stall(self, shard: int, timeout_s: float) -> None:
        """Get on with a shard no more whenever it is owned here, from now on."""
        self._stalls[shard] = Stall(timeout_s)
        self._stalls[shard].begin(self._table.now_s)

    def leave(self) -> None:
        """End as a process does that is asked to: be no instance, then give up shard after shard."""
        self._gone()
        self.sharing.leave()
        for shard, epoch in self._epochs.items():
            delay_ms = self._chance.uniform(HAND_OVER_MIN_MS, HAND_OVER_MAX_MS)
            self._table.scheduler.after(delay_ms, partial(self._give_up, shard, epoch))

    def now_ms(self) -> int:
        """Return wall time."""
        return int(self._table.scheduler.now_ms)

    def monotonic_s(self) -> float:
        """Return time that only goes forward."""
        return self._table.now_s

    def sleep(self, seconds: float) -> None:
        """Never called: the table wakes it."""
        raise AssertionError(seconds)

    # -- what it does again and again ------------------------------------------------------------------------

    def _look(self) -> None:
        self.sharing.look()
        for shard in range(self._table.shards):
            self._attend(shard)
        self._after(LOOK_INTERVAL_MS * self._chance.uniform(0.9, 1.5), self._look)

    def _attend(self, shard: int) -> None:
        if shard in self._busy:
            return
        if shard in self._epochs and not self._claims[shard].alive():
            del self._epochs[shard]
        if shard in self._epochs:
            if self.sharing.hand_over_asked(shard) or self._gives_up(shard):
                self._busy.add(shard)
                delay_ms = self._chance.uniform(HAND_OVER_MIN_MS, HAND_OVER_MAX_MS)
                self._after(delay_ms, partial(self._hand_over, shard))
        elif self.sharing.may_campaign(shard):
            self._busy.add(shard)
            self._soon(partial(self._campaign, shard))

    def _campaign(self, shard: int) -> None:
        self._busy.discard(shard)
        epoch = self._claims[shard].campaign()
        if epoch is not None:
            self._epochs[shard] = epoch
            if shard in self._stalls:
                self._stalls[shard].begin(self._table.now_s)
            self._table.note()

    def _gives_up(self, shard: int) -> bool:
        stall = self._stalls.get(shard)
        if stall is None or not stall.reason(self._table.now_s) or not self.sharing.leave_to_peers(shard):
            return False
        stall.gave_up()
        return True

    def _hand_over(self, shard: int) -> None:
        self._busy.discard(shard)
        self._give_up(shard, self._epochs.pop(shard))

    def _give_up(self, shard: int, epoch: int) -> None:
        self._claims[shard].release(epoch, clean=True)
        self._table.note()

    # -- life and death --------------------------------------------------------------------------------------

    def _gone(self) -> None:
        self._life += 1
        del self._table.players[self.name]

    def _expire_later(self) -> None:
        """The lease was last prolonged up to a third of its time ago."""
        delay_ms = TTL_MS * self._chance.uniform(2 / 3, 1.0) + self._chance.uniform(0, EXPIRY_LOOK_MS)
        for lease in self._leases():
            self._table.scheduler.after(delay_ms, partial(self._table.expire, lease))

    def _leases(self) -> Iterator[str]:
        yield self._membership.lease
        yield from (claim.lease for claim in self._claims)

    def _thaw(self) -> None:
        waiting, self._frozen = self._frozen or [], None
        for call in waiting:
            call()

    def _soon(self, call: Callable[[], None]) -> None:
        self._after(self._chance.uniform(1.0, ANSWER_MAX_MS), call)

    def _after(self, delay_ms: float, call: Callable[[], None]) -> None:
        life = self._life

        def carry_out() -> None:
            if life != self._life:
                return
            if self._frozen is None:
                call()
            else:
                self._frozen.append(carry_out)

        self._table.scheduler.after(delay_ms, carry_out)

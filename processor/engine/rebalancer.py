"""Acts on the assignment policy: reads the members, plans, and tells each shard of this process what to do."""

import threading
from collections.abc import Callable, Mapping
from math import inf

from processor.engine.assignment import FORSAKEN_TTLS, Members, Plan, View, plan
from processor.engine.errors import Retry, StoreUnavailable
from processor.engine.ports import Clock, Membership

NAMESAKE_TTLS = 2
NAME_ADVICE = "both take their share; give each process a PROCESSOR_INSTANCE of its own to tell them apart"
CUT_OFF = "inputs and output cannot be reached from here: the shards are left to others"


UNWANTED_TTLS = 2 * FORSAKEN_TTLS
"""A shard left to peers is tried again after this many TTLs without owner: the peers had the first choice."""


class Rebalancer:
    """One process's part in sharing `shards` shards under the name `instance`.

    `run` belongs to one thread; the questions are for the shards' threads. `excluded` returns the shards that must not
    be run here at present, `silent_s` for how long inputs and output have not been reached from here. Past
    `silent_max_s` a process that has peers leaves its shards to them, until it reaches inputs and output again.
    """

    def __init__(  # noqa: PLR0913 - what is handed in
        self,
        membership: Membership,
        *,
        instance: str,
        shards: int,
        ttl_s: float,
        interval_s: float,
        clock: Clock,
        excluded: Callable[[], frozenset[int]] = frozenset,
        silent_s: Callable[[], float] = lambda: 0.0,
        silent_max_s: float = inf,
        log: Callable[..., None] = lambda _event, **_fields: None,
    ) -> None:
        self._membership = membership
        self._instance = instance
        self._shards = shards
        self._ttl_s = ttl_s
        self._interval_s = interval_s
        self._clock = clock
        self._excluded = excluded
        self._silent_s = silent_s
        self._silent_max_s = silent_max_s
        self._log = log
        self._cut_off = False
        self._leave_failed = False
        self._looked = threading.Condition()
        self._plan = Plan()
        self._failure = ""
        self._instances: tuple[str, ...] = ()
        self._vacant_since_s: dict[int, float] = {}
        self._pinned: frozenset[int] = frozenset()
        self._left: frozenset[int] = frozenset()
        self._namesakes_since_s: dict[str, float] = {}
        self._namesakes_logged: frozenset[str] = frozenset()
        self._owners: Mapping[int, str] = {}

    def run(self, stopping: Callable[[], bool]) -> None:
        """Plan again and again; leave when stopping, so that others may take at once what we give up."""
        while not stopping():
            self.look()
            self._clock.sleep(self._interval_s)
        self.leave()

    def look(self) -> None:
        """Read the members and plan anew; while the store does not answer no shard campaigns."""
        if self._silent_s() > self._silent_max_s:
            if self._cut_off or self._has_peers():
                self._leave_to_peers()
                return
        elif self._cut_off:
            self._cut_off = False
            self._log("took_part_again", instance=self._instance)
        try:
            members = self._membership.look()
        except Retry as error:
            self._publish(Plan(), failure=str(error) or "the store does not answer")
        else:
            self._note(members)
            self._note_left(members)
            view = self._view(members)
            decided = plan(view)
            self._pinned |= frozenset(filter(view.is_unwanted, decided.campaign))
            self._publish(decided, failure="")

    def leave(self) -> None:
        """Stop taking part."""
        self._publish(Plan(), failure="")
        self._leave()

    def may_campaign(self, shard: int) -> bool:
        """Tell whether to campaign now; a no comes after a wait for the next look. Raises StoreUnavailable."""
        with self._looked:
            if shard not in self._plan.campaign:
                self._looked.wait(self._interval_s)
            if self._failure:
                raise StoreUnavailable(self._failure)
            return shard in self._plan.campaign

    def hand_over_asked(self, shard: int) -> bool:
        """Tell whether the shard is to be handed over."""
        return self._cut_off or self._plan.hand_over == shard

    def owner_of(self, shard: int) -> str:
        """Return the other instance that owned the shard at the last look, empty when none did."""
        owner = self._owners.get(shard, "")
        return "" if owner == self._instance else owner

    def leave_to_peers(self, shard: int) -> bool:
        """Stop campaigning for this shard until somebody else has owned it, or nobody wants it.

        Return False, and change nothing, when there is no peer that could.
        """
        with self._looked:
            if self._has_peers():
                self._left |= {shard}
            return shard in self._left

    def _has_peers(self) -> bool:
        return any(name != self._instance for name in self._instances)

    def _leave_to_peers(self) -> None:
        if not self._cut_off:
            self._cut_off = True
            self._log("left_to_peers", instance=self._instance, silent_s=round(self._silent_s(), 1))
        self._leave()
        self._publish(Plan(), failure=CUT_OFF)

    def _leave(self) -> None:
        try:
            self._membership.leave()
        except Retry as error:
            if not self._leave_failed:
                self._log("leave_failed", instance=self._instance, reason=str(error))
            self._leave_failed = True
        else:
            self._leave_failed = False

    def _note(self, members: Members) -> None:
        self._note_namesakes(members.namesakes)
        now_s = self._clock.monotonic_s()
        vacant = set(range(self._shards)) - members.owners.keys()
        self._vacant_since_s = {shard: self._vacant_since_s.get(shard, now_s) for shard in vacant}
        self._pinned -= {shard for shard, owner in members.owners.items() if owner != self._instance}
        for shard, owner in members.owners.items():
            if owner not in {self._instance, self._owners.get(shard)}:
                self._log("standing_by", shard=shard, owner=owner)
        self._owners = members.owners
        if members.instances != self._instances:
            self._instances = members.instances
            self._pinned = frozenset()  # who came may want them
            self._log("instances_changed", instances=list(members.instances))

    def _note_namesakes(self, namesakes: Mapping[str, str]) -> None:
        """Warn once of each other process of our name; what a restart left behind goes with its lease."""
        now_s = self._clock.monotonic_s()
        self._namesakes_since_s = {key: self._namesakes_since_s.get(key, now_s) for key in namesakes}
        for key, since_s in self._namesakes_since_s.items():
            if now_s - since_s > NAMESAKE_TTLS * self._ttl_s and key not in self._namesakes_logged:
                self._namesakes_logged |= {key}
                self._log("instance_name_shared", us=self._instance, other=namesakes[key], advice=NAME_ADVICE)

    def _note_left(self, members: Members) -> None:
        """Forget what was left to peers once one of them owned it, there are none, or none took it in time."""
        now_s = self._clock.monotonic_s()
        with self._looked:
            self._left = frozenset(
                shard
                for shard in self._left
                if self._has_peers()
                and members.owners.get(shard, self._instance) == self._instance
                and now_s - self._vacant_since_s.get(shard, now_s) < UNWANTED_TTLS * self._ttl_s
            )

    def _view(self, members: Members) -> View:
        now_s = self._clock.monotonic_s()
        return View(
            us=self._instance,
            shards=self._shards,
            members=members,
            ttl_s=self._ttl_s,
            vacant_s={shard: now_s - since_s for shard, since_s in self._vacant_since_s.items()},
            excluded=self._excluded() | self._left,
            pinned=self._pinned,
        )

    def _publish(self, decided: Plan, *, failure: str) -> None:
        with self._looked:
            self._plan, self._failure = decided, failure
            self._looked.notify_all()

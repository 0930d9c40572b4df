"""Which shards an instance should own: fair shares without needless moves. Pure; `Rebalancer` feeds it and acts on it.

With N shards and L live instances each should own ⌊N/L⌋ or ⌈N/L⌉. An instance that does keeps what it has, so that a
single shard stays where it is and the second process stands by. There is no coordinator: every instance decides for
itself from the same view of the store. Two may decide at once for one shard; the campaign's transaction lets one win. A
wrong plan can cost a move or a wait, never safety, which rests on the owner compare in every transaction alone.

* Below ⌊N/L⌋: campaign at once for shards without owner. Below ⌈N/L⌉: only once nobody else is below ⌊N/L⌋, or nobody
  took the shard for a TTL. A shard without owner for several TTLs is taken by any instance that can run it.
* Hand over one shard at a time, between two batches: above ⌈N/L⌉, or above ⌊N/L⌋ while others are below it and vacant
  shards do not suffice. Of those that could give, the fullest do, in an order that all compute alike.
* Shards that this process must not run (`excluded`: refused, or left to peers) are not campaigned for. Those that
  nobody else wanted for a TTL (`pinned`) are not handed over: they would only come back.
"""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

FORSAKEN_TTLS = 3
"""After this many TTLs without owner a shard is taken by any instance that can run it, whatever its share."""


class Members(msgspec.Struct, frozen=True):
    """The live instances and the owners of shards, at one revision, by unique ids. `owners`: shard → instance.

    `namesakes`: other instances with our name → how a person finds them.
    """

    instances: tuple[str, ...]
    owners: Mapping[int, str]
    namesakes: Mapping[str, str] = {}


class Plan(msgspec.Struct, frozen=True):
    """What one instance should do now: campaign for all of these shards, hand that one over."""

    campaign: tuple[int, ...] = ()
    hand_over: int | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The members as one instance, `us`, sees them.

    `vacant_s`: shard → how long we have seen it without owner. `excluded`: shards that we must not run.
    `pinned`: shards of ours that nobody else wanted for a TTL.
    """

    us: str
    shards: int
    members: Members
    ttl_s: float
    vacant_s: Mapping[int, float] = {}
    excluded: frozenset[int] = frozenset()
    pinned: frozenset[int] = frozenset()

    def is_unwanted(self, shard: int, *, ttls: int = 1) -> bool:
        """Tell whether nobody has taken a vacant shard for this many TTLs."""
        return self.vacant_s.get(shard, 0.0) >= ttls * self.ttl_s


def plan(view: View) -> Plan:
    """Return what to do now; nothing while we are not among the live instances."""
    if view.us not in view.members.instances:
        return Plan()
    shares = _Shares(view)
    return Plan(campaign=_campaign(view, shares), hand_over=_hand_over(view, shares))


class _Shares:
    """How many shards each live instance owns, and how many it should."""

    def __init__(self, view: View) -> None:
        live = view.members.instances
        counted = Counter(view.members.owners.values())
        self.owned = {instance: counted[instance] for instance in live}
        self.floor = view.shards // len(live)
        self.ceiling = -(-view.shards // len(live))
        self.ours = self.owned[view.us]
        self.missing = sum(max(0, self.floor - owned) for owned in self.owned.values())
        self.missing_elsewhere = self.missing - max(0, self.floor - self.ours)
        self.surplus = sum(max(0, owned - self.ceiling) for owned in self.owned.values())


def _campaign(view: View, shares: _Shares) -> tuple[int, ...]:
    """Below ⌊N/L⌋: at once. Below ⌈N/L⌉: once nobody else is below ⌊N/L⌋, or nobody took the shard for a TTL.

    Who has its share takes one that stays without owner even then: those who lack shards must not run it.
    """
    vacant = _vacant(view)
    if shares.ours < shares.floor:
        return tuple(vacant[: shares.floor - shares.ours])
    if shares.missing_elsewhere:
        vacant = list(filter(view.is_unwanted, vacant))
    if shares.ours < shares.ceiling:
        return tuple(vacant[: shares.ceiling - shares.ours])
    return tuple(shard for shard in vacant if view.is_unwanted(shard, ttls=FORSAKEN_TTLS))[:1]


def _hand_over(view: View, shares: _Shares) -> int | None:
    """Above ⌈N/L⌉: one. At ⌈N/L⌉: only if others are below ⌊N/L⌋ and it takes ours to raise them."""
    if shares.ours > shares.ceiling or _gives(view, shares):
        ours = {shard for shard, owner in view.members.owners.items() if owner == view.us}
        return max(ours - view.pinned, default=None)
    return None


def _gives(view: View, shares: _Shares) -> bool:
    """Tell whether one of ours is needed: as many instances give one as vacant shards and surplus leave lacking.

    The fullest give first. Otherwise one that has to give anyway would come after one that need not.
    """
    if shares.ours <= shares.floor:
        return False
    vacant = set(range(view.shards)) - view.members.owners.keys()
    underway = sum(not view.is_unwanted(shard) for shard in vacant)
    needed = shares.missing_elsewhere - underway - shares.surplus
    able = [name for name, owned in shares.owned.items() if owned > shares.floor]
    able.sort(key=lambda name: (-shares.owned[name], name))
    return view.us in able[: max(0, needed)]


def _vacant(view: View) -> list[int]:
    """Return the shards without owner, ascending from a place of our own, so that instances rarely meet."""
    start = int.from_bytes(blake2b(view.us.encode(), digest_size=8).digest(), "big") % view.shards
    taken = view.members.owners.keys() | view.excluded
    return [shard for place in range(view.shards) if (shard := (start + place) % view.shards) not in taken]

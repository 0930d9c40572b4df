"""The policy that shares shards among instances: laws over any start, for instances that act on views of the past."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from processor.engine.assignment import Members, Plan, View, plan

TTL_ROUNDS = 6
LAG_MAX = 2
CALM_ROUNDS = TTL_ROUNDS + LAG_MAX + 1

Owners = dict[int, str]


class Instances:
    """Several instances on one store. In a round everybody looks, maybe at a view of the past, and acts upon it."""

    def __init__(self, shards: int, live: list[str], owners: Owners) -> None:
        self.shards = shards
        self.live = list(live)
        self.owners = dict(owners)
        self.hand_overs = 0
        self.campaigns_won = 0
        self._history = [self._members()]
        self._seen_vacant: dict[tuple[str, int], int] = {}

    def round(self, *, chance: Random, lag_max: int = 0) -> bool:
        """Let everybody act once, in any order; tell whether anything moved."""
        self._history.append(self._members())
        moved = False
        for name in chance.sample(self.live, len(self.live)):
            view = self._history[-1 - min(chance.randint(0, lag_max), len(self._history) - 1)]
            moved = self._act(name, self.plan_of(name, view)) or moved
        return moved

    def plan_of(self, name: str, view: Members | None = None) -> Plan:
        view = view or self._members()
        return plan(View(us=name, shards=self.shards, members=view, ttl_s=TTL_ROUNDS, vacant_s=self._ages(name, view)))

    def settle(self, *, chance: Random, lag_max: int = 0) -> int:
        """Return after how many rounds nothing moved any more."""
        still, rounds = 0, 0
        while still < CALM_ROUNDS:
            rounds += 1
            still = 0 if self.round(chance=chance, lag_max=lag_max) else still + 1
            assert rounds <= self.bound(lag_max), f"still moving: {self.owners}"
        return rounds - CALM_ROUNDS

    def bound(self, lag_max: int) -> int:
        """One hand-over at a time, each seen late, and one TTL for what nobody below its share takes."""
        return (self.shards + 2) * (lag_max + 2) + 2 * CALM_ROUNDS

    def shares(self) -> list[int]:
        counted = Counter(self.owners.values())
        return sorted(counted[name] for name in self.live)

    def is_balanced(self) -> bool:
        floor, ceiling = self.shards // len(self.live), -(-self.shards // len(self.live))
        return len(self.owners) == self.shards and all(floor <= share <= ceiling for share in self.shares())

    def leave(self, name: str) -> None:
        self.live.remove(name)
        self.owners = {shard: owner for shard, owner in self.owners.items() if owner != name}

    def _act(self, name: str, decided: Plan) -> bool:
        moved = False
        for shard in decided.campaign:
            if shard not in self.owners:
                self.owners[shard], moved = name, True
                self.campaigns_won += 1
        if decided.hand_over is not None and self.owners.get(decided.hand_over) == name:
            del self.owners[decided.hand_over]
            self.hand_overs += 1
            moved = True
        return moved

    def _ages(self, name: str, view: Members) -> dict[int, float]:
        now = len(self._history)
        ages = {}
        for shard in range(self.shards):
            if shard in view.owners:
                self._seen_vacant.pop((name, shard), None)
            else:
                ages[shard] = float(now - self._seen_vacant.setdefault((name, shard), now))
        return ages

    def _members(self) -> Members:
        return Members(tuple(sorted(self.live)), dict(self.owners))


def names(count: int) -> list[str]:
    return [f"instance-{number}" for number in range(count)]


def least_moves(shards: int, shares: list[int]) -> int:
    """How many shards must change their owner until shares are fair; a newcomer's share is 0."""
    floor, ceiling = shards // len(shares), -(-shards // len(shares))
    surplus = sum(max(0, share - ceiling) for share in shares)
    missing = sum(max(0, floor - share) for share in shares)
    return max(surplus, missing)


starts = st.integers(1, 20).flatmap(
    lambda shards: st.integers(1, 6).flatmap(
        lambda live: st.builds(
            Instances,
            st.just(shards),
            st.just(names(live)),
            st.dictionaries(st.integers(0, shards - 1), st.sampled_from(names(live))),
        )
    )
)
chances = st.integers(0, 1 << 32).map(Random)


@given(starts, chances)
def test_from_any_start_every_shard_gets_an_owner_and_shares_are_fair(instances: Instances, chance: Random) -> None:
    instances.settle(chance=chance)
    assert instances.is_balanced()


@given(starts, chances)
def test_views_of_the_past_delay_fair_shares_but_do_not_prevent_them(instances: Instances, chance: Random) -> None:
    instances.settle(chance=chance, lag_max=LAG_MAX)
    assert instances.is_balanced()


@given(starts, chances)
def test_who_has_a_fair_share_does_nothing(instances: Instances, chance: Random) -> None:
    instances.settle(chance=chance)
    assert {instances.plan_of(name) for name in instances.live} == {Plan()}


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 3), chances)
def test_newcomers_cause_no_move_more_than_fair_shares_need(
    shards: int, before: int, more: int, chance: Random
) -> None:
    instances = Instances(shards, names(before), {})
    instances.settle(chance=chance)
    assert instances.hand_overs == 0
    instances.live += [f"newcomer-{number}" for number in range(more)]
    needed = least_moves(shards, instances.shares())
    instances.settle(chance=chance)
    assert instances.is_balanced()
    assert instances.hand_overs == needed


@given(st.integers(1, 20), st.integers(2, 6), chances)
def test_nobody_hands_anything_over_when_one_leaves(shards: int, before: int, chance: Random) -> None:
    instances = Instances(shards, names(before), {})
    instances.settle(chance=chance)
    instances.leave(chance.choice(instances.live))
    kept = dict(instances.owners)
    instances.settle(chance=chance)
    assert instances.is_balanced()
    assert instances.hand_overs == 0
    assert kept.items() <= instances.owners.items()


def test_with_one_shard_the_second_instance_stands_by() -> None:
    instances = Instances(1, names(2), {0: "instance-0"})
    assert not instances.round(chance=Random(0))
    instances.leave("instance-0")
    assert instances.plan_of("instance-1") == Plan(campaign=(0,))


def test_the_highest_shard_is_handed_over_first_and_one_at_a_time() -> None:
    instances = Instances(4, names(2), dict.fromkeys(range(4), "instance-0"))
    assert instances.plan_of("instance-0") == Plan(hand_over=3)


def view(us: str, instances: int, owners: Owners, **fields: object) -> View:
    values: dict[str, object] = {"shards": 5, "ttl_s": 5.0} | fields
    return View(us=us, members=Members(tuple(names(instances)), owners), **values)  # type: ignore[arg-type]


def test_who_has_its_share_leaves_a_vacant_shard_to_those_with_less_for_a_ttl() -> None:
    owners = {0: "instance-0", 1: "instance-0", 2: "instance-1"}
    fresh = view("instance-0", 2, owners, vacant_s={3: 4.9, 4: 4.9})
    assert plan(fresh) == Plan()
    assert plan(view("instance-0", 2, owners, vacant_s={3: 5.0, 4: 0.1})) == Plan(campaign=(3,))


def test_what_is_vacant_anyway_spares_others_a_hand_over_for_a_ttl() -> None:
    owners = {0: "instance-0", 1: "instance-0", 2: "instance-0"}
    assert plan(view("instance-0", 2, owners, vacant_s={3: 0.2, 4: 0.2})) == Plan()
    assert plan(view("instance-0", 2, owners, vacant_s={3: 9.0, 4: 9.0})) == Plan(hand_over=2)


def test_a_shard_that_must_not_be_run_takes_nobody_elses_place() -> None:
    allowed = plan(view("instance-0", 2, {}, excluded=frozenset({0, 1, 2})))
    assert sorted(allowed.campaign) == [3, 4]


def test_who_has_its_share_takes_one_after_another_of_what_nobody_takes_at_all() -> None:
    owners = {0: "instance-0", 1: "instance-0", 2: "instance-0"}
    forsaken = view("instance-0", 2, owners, vacant_s={3: 15.0, 4: 15.0}, pinned=frozenset(owners))
    assert len(plan(forsaken).campaign) == 1
    assert plan(view("instance-0", 2, owners, vacant_s={3: 14.9, 4: 14.9})).campaign == ()


def test_what_nobody_else_wanted_is_not_handed_over() -> None:
    owners = dict.fromkeys(range(4), "instance-0") | {4: "instance-1"}
    assert plan(view("instance-0", 2, owners, pinned=frozenset({3}))) == Plan(hand_over=2)
    assert plan(view("instance-0", 2, owners, pinned=frozenset(range(4)))) == Plan()


def test_who_has_to_give_one_anyway_gives_the_next_one_too() -> None:
    owners = dict(enumerate(["instance-0"] * 3 + ["instance-1"] * 4 + ["instance-2"] * 3 + ["instance-3"] * 3))
    views = {name: view(name, 5, owners, shards=13) for name in names(5)}
    assert {name: plan(view).hand_over for name, view in views.items()} == dict.fromkeys(names(5)) | {"instance-1": 6}


def test_owners_that_are_no_live_instances_keep_their_shards_and_count_for_nobody() -> None:
    owners = dict.fromkeys(range(4), "leaving")
    assert plan(view("instance-0", 1, owners)) == Plan(campaign=(4,))


def test_who_is_not_among_the_live_does_nothing() -> None:
    assert plan(view("stranger", 2, {0: "stranger"})) == Plan()


def test_instances_begin_at_different_places() -> None:
    firsts = {plan(view(name, 6, {}, shards=60)).campaign[0] for name in names(6)}
    assert len(firsts) > 3

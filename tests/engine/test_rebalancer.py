"""What each shard of a process is told, from what the process sees of the others."""

import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from processor.engine.assignment import Members
from processor.engine.errors import StoreUnavailable
from processor.engine.rebalancer import UNWANTED_TTLS, Rebalancer
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryMembership, MemoryOwnership
from tests.engine.world import ManualClock

SHARDS = 4
TTL_S = 5.0
SHORT_S = 0.001


class Silent(MemoryMembership):
    """Answers only when `answers` is set."""

    answers = False

    def look(self) -> Members:
        if not self.answers:
            raise StoreUnavailable("no answer")
        return super().look()

    def leave(self) -> None:
        raise StoreUnavailable("no answer")


class Deaf(MemoryMembership):
    """Answers to the third attempt to leave."""

    attempts = 0

    def leave(self) -> None:
        self.attempts += 1
        if self.attempts < 3:
            raise StoreUnavailable("no answer")
        super().leave()


class Table:
    """Processes around one store."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.clock = ManualClock()
        self.log: list[str] = []

    def sharing(self, name: str, *, kind: type[MemoryMembership] = MemoryMembership, **fields: Any) -> Rebalancer:
        settings: dict[str, Any] = {"shards": SHARDS, "ttl_s": TTL_S, "interval_s": SHORT_S} | fields
        return Rebalancer(
            kind(self.cluster, name, shards=SHARDS),
            instance=name,
            clock=self.clock,
            **{"log": lambda event, **_: self.log.append(event), **settings},
        )

    def own(self, name: str, *shards: int) -> None:
        for shard in shards:
            assert MemoryOwnership(self.cluster, shard, name).campaign() is not None


def allowed(sharing: Rebalancer) -> set[int]:
    return {shard for shard in range(SHARDS) if sharing.may_campaign(shard)}


def asked(sharing: Rebalancer) -> set[int]:
    return {shard for shard in range(SHARDS) if sharing.hand_over_asked(shard)}


def test_nobody_campaigns_before_the_first_look() -> None:
    sharing = Table().sharing("one")
    assert (allowed(sharing), asked(sharing)) == (set(), set())


def test_a_process_alone_campaigns_for_everything() -> None:
    sharing = Table().sharing("one")
    sharing.look()
    assert allowed(sharing) == set(range(SHARDS))


def test_what_must_not_be_run_here_is_left_alone() -> None:
    sharing = Table().sharing("one", excluded=lambda: frozenset({2}))
    sharing.look()
    assert allowed(sharing) == {0, 1, 3}


def test_a_newcomer_is_given_shards_one_after_another() -> None:
    table = Table()
    old, new = table.sharing("old"), table.sharing("new")
    table.own("old", *range(SHARDS))
    new.look()
    old.look()
    assert (asked(old), allowed(new)) == ({3}, set())
    table.cluster.write(3, lambda _: True, lambda keys, _: setattr(keys, "owner", None))
    new.look()
    assert allowed(new) == {3}


def test_what_others_should_take_is_taken_when_nobody_did_for_a_ttl() -> None:
    table = Table()
    full, poor = table.sharing("full", shards=5), table.sharing("poor", shards=5)
    table.own("full", 0, 1)
    poor.look()
    full.look()
    assert allowed(full) == set()
    table.clock.sleep(TTL_S)
    full.look()
    assert len(allowed(full)) == 1


def test_what_nobody_took_for_a_ttl_is_kept_until_others_come() -> None:
    table = Table()
    full, refuser = table.sharing("full"), table.sharing("refuser", excluded=lambda: frozenset({2, 3}))
    refuser.look()
    table.own("full", 0, 1)
    full.look()
    for _ in range(2):
        table.clock.sleep(3 * TTL_S)
        full.look()
        table.own("full", *allowed(full))
    full.look()
    assert asked(full) == {1}
    table.sharing("new").look()
    full.look()
    assert asked(full) == {3}


def test_who_does_not_reach_the_store_campaigns_for_nothing_and_knows_why() -> None:
    sharing = Table().sharing("one", kind=Silent)
    sharing.look()
    with pytest.raises(StoreUnavailable, match="no answer"):
        sharing.may_campaign(0)
    assert asked(sharing) == set()


def test_who_leaves_asks_for_nothing_and_counts_for_nobody() -> None:
    table = Table()
    leaver, other = table.sharing("leaver"), table.sharing("other")
    leaver.look()
    leaver.leave()
    other.look()
    assert allowed(leaver) == set()
    assert allowed(other) == set(range(SHARDS))


def test_leaving_without_an_answer_is_told_and_nothing_more() -> None:
    table = Table()
    table.sharing("one", kind=Silent).leave()
    assert table.log == ["leave_failed"]


def test_a_change_of_the_instances_is_told_once() -> None:
    table = Table()
    first, second = table.sharing("first"), table.sharing("second")
    first.look()
    first.look()
    second.look()
    first.look()
    assert table.log == ["instances_changed"] * 3


def test_running_ends_with_leaving() -> None:
    table = Table()
    looks = iter(range(3))
    table.sharing("one").run(lambda: next(looks, None) is None)
    assert table.cluster.members(SHARDS)[0] == ()


def test_a_look_ends_the_wait_of_a_shard() -> None:
    sharing = Table().sharing("one", interval_s=60.0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(sharing.may_campaign(1)), daemon=True)
    waiting.start()
    while waiting.is_alive():
        sharing.look()
        waiting.join(0.01)
    assert answers == [True]


def test_who_reaches_no_broker_leaves_its_shards_to_its_peers_and_says_why() -> None:
    table, silent = Table(), [0.0]
    cut_off = table.sharing("cut-off", silent_s=lambda: silent[0], silent_max_s=10.0)
    other = table.sharing("other")
    other.look()
    cut_off.look()
    table.own("cut-off", 0, 1)
    silent[0] = 10.1
    cut_off.look()
    other.look()
    assert asked(cut_off) == set(range(SHARDS))
    with pytest.raises(StoreUnavailable, match="left to others"):
        cut_off.may_campaign(2)
    assert table.cluster.members(SHARDS)[0] == ("other",)
    assert allowed(other) == {2, 3}


def test_who_reaches_the_brokers_again_takes_part_again() -> None:
    table, silent = Table(), [0.0]
    cut_off = table.sharing("cut-off", silent_s=lambda: silent[0], silent_max_s=10.0)
    table.sharing("other").look()
    cut_off.look()
    for seconds in (11.0, 12.0, 0.0):
        silent[0] = seconds
        cut_off.look()
    assert table.cluster.members(SHARDS)[0] == ("cut-off", "other")
    assert asked(cut_off) == set()
    assert len(allowed(cut_off)) == SHARDS // 2
    assert table.log.count("left_to_peers") == table.log.count("took_part_again") == 1


def test_who_is_alone_keeps_its_shards_though_it_reaches_no_broker() -> None:
    table = Table()
    alone = table.sharing("alone", silent_s=lambda: 60.0, silent_max_s=10.0)
    alone.look()
    assert allowed(alone) == set(range(SHARDS))
    assert asked(alone) == set()


def test_who_leaves_to_its_peers_without_an_answer_tries_again_and_tells_once() -> None:
    table, silent = Table(), [0.0]
    table.sharing("other").look()
    sharing = table.sharing("one", kind=Deaf, silent_s=lambda: silent[0], silent_max_s=10.0)
    sharing.look()
    silent[0] = 11.0
    for _ in range(2):
        sharing.look()
    assert table.cluster.members(SHARDS)[0] == ("one", "other")
    sharing.look()
    assert table.cluster.members(SHARDS)[0] == ("other",)
    assert table.log.count("leave_failed") == 1


class Named(MemoryMembership):
    """Sees others that were given its name."""

    namesakes: Mapping[str, str] = {}

    def look(self) -> Members:
        return msgspec.structs.replace(super().look(), namesakes=self.namesakes)


def test_another_process_of_our_name_is_told_of_once_it_outlived_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    told: list[dict[str, Any]] = []
    sharing = table.sharing("same~1", kind=Named, log=lambda event, **fields: told.append({"event": event, **fields}))
    monkeypatch.setattr(Named, "namesakes", {"same~2": "same~2 (host h, pid 7)"})
    for _ in range(2):
        sharing.look()
        table.clock.sleep(2 * TTL_S)
    assert "instance_name_shared" not in {one["event"] for one in told}, "one that died is listed for so long"
    for _ in range(3):
        table.clock.sleep(TTL_S)
        sharing.look()
    warned = [one for one in told if one["event"] == "instance_name_shared"]
    assert [(one["us"], one["other"]) for one in warned] == [("same~1", "same~2 (host h, pid 7)")]
    assert "PROCESSOR_INSTANCE" in warned[0]["advice"]


def test_who_owns_a_shard_is_known_and_told_once() -> None:
    table = Table()
    two, one = table.sharing("two"), table.sharing("one")
    MemoryOwnership(table.cluster, 1, "two").campaign()
    MemoryOwnership(table.cluster, 0, "one").campaign()
    for _ in range(3):
        two.look()
        one.look()
    assert [one.owner_of(shard) for shard in range(SHARDS)] == ["", "two", "", ""]
    assert [two.owner_of(shard) for shard in range(SHARDS)] == ["one", "", "", ""]
    assert table.log.count("standing_by") == 2


def test_what_is_left_to_peers_is_not_campaigned_for_until_one_of_them_had_it() -> None:
    table = Table()
    one, two = table.sharing("one"), table.sharing("two")
    one.look()
    table.own("one", 0, 1)
    two.look()
    one.look()
    assert one.leave_to_peers(0)
    vacate(table, 0)
    one.look()
    assert 0 not in allowed(one)
    table.own("two", 0)
    one.look()
    assert one._left == frozenset()


def test_what_is_left_to_peers_and_wanted_by_none_is_tried_again() -> None:
    table = Table()
    one = table.sharing("one")
    table.sharing("refuser").look()
    one.look()
    assert one.leave_to_peers(0)
    one.look()
    for _ in range(UNWANTED_TTLS - 1):
        table.clock.sleep(TTL_S)
        one.look()
        assert 0 not in allowed(one)
    table.clock.sleep(TTL_S)
    one.look()
    assert one._left == frozenset()


def test_who_is_alone_leaves_nothing_to_anybody() -> None:
    table = Table()
    alone = table.sharing("alone")
    alone.look()
    assert not alone.leave_to_peers(0)
    assert allowed(alone) == set(range(SHARDS))


def vacate(table: Table, shard: int) -> None:
    table.cluster.write(shard, lambda _: True, lambda keys, _: setattr(keys, "owner", None))

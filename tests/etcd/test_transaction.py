from typing import Any

import msgspec
import pytest

from processor.engine.announcements import Announcement
from processor.engine.errors import InvalidRequest
from processor.engine.values import Attempts, AuditEntry, Commit, Image, TrimRequest
from processor.etcd.backlog import Backlog, Delta, Effect
from processor.etcd.builder import Plan, StoreState
from processor.etcd.layout import ShardKeys, decode_head, encode_attempts, encode_audit, numbered
from processor.etcd.limits import Limits
from processor.etcd.transaction import plan_commit, plan_trim
from tests.contracts.store_worlds import commit, entry, head
from tests.etcd.shard_steps import many, noise

KEYS = ShardKeys("/p", "app", 0)
EPOCH, EXPECTED = 7, 40


def stored(*deltas: Delta, orphaned_parts: bool = False, trimmed_through: int = 0, **limits: int) -> StoreState:
    backlog = Backlog()
    for delta in deltas:
        backlog.apply(Effect(settled=tuple(image.key for image in delta.images), delta=delta))
    return StoreState(KEYS, Limits(**limits), backlog, trimmed_through, orphaned_parts)


def staged_commit() -> Commit:
    return commit(3, EPOCH, EXPECTED, Image("model/a", noise(0, 2_500)), Image("model/b", noise(0, 2_600)))


def puts(plan: Plan, step: int = -1) -> dict[bytes, bytes]:
    return {op.request_put.key: op.request_put.value for op in _success(plan, step) if op.HasField("request_put")}


def deletes(plan: Plan, step: int = -1) -> list[tuple[bytes, bytes]]:
    ranges = [op.request_delete_range for op in _success(plan, step) if op.HasField("request_delete_range")]
    return [(range_.key, range_.range_end) for range_ in ranges]


def _success(plan: Plan, step: int) -> Any:
    return plan.steps[step].success


def entities(plan: Plan) -> list[str]:
    return [KEYS.entity_of(key) for key in puts(plan) if key.startswith(KEYS.state)]


def test_every_step_stands_under_the_two_compares_and_asks_what_stands_there_instead() -> None:
    plan = plan_commit(staged_commit(), stored(request_bytes_max=4_000))
    assert len(plan.steps) > 1
    for step in plan.steps:
        owner, (by_head, by_owner) = KEYS.owner, step.compare
        assert (by_head.key, by_head.mod_revision) == (KEYS.head, EXPECTED)
        assert (by_owner.key, by_owner.create_revision) == (owner, EPOCH)
        assert [op.request_range.key for op in step.failure] == [KEYS.head, owner]


def test_only_the_last_step_writes_head() -> None:
    plan = plan_commit(staged_commit(), stored(request_bytes_max=4_000))
    assert [KEYS.head in puts(plan, step) for step in range(len(plan.steps))] == [False] * (len(plan.steps) - 1) + [
        True
    ]


def test_a_plain_commit_is_entities_outbox_and_head() -> None:
    plan = plan_commit(commit(3, EPOCH, EXPECTED, Image("model/a", b"1"), Image("model/b", None)), stored())
    assert set(puts(plan)) == {KEYS.entity("model/a"), numbered(KEYS.outbox, 3), KEYS.head}
    assert deletes(plan) == [(KEYS.entity("model/b"), b"")]


def test_seq_0_has_no_outbox_entry() -> None:
    assert set(puts(plan_commit(commit(0, EPOCH, 0), stored()))) == {KEYS.head}


def test_the_outbox_is_trimmed_only_when_more_was_announced_than_is_trimmed() -> None:
    trimming = plan_commit(commit(9, EPOCH, EXPECTED, announced_seq=5), stored(trimmed_through=4))
    assert deletes(trimming) == [(KEYS.outbox, numbered(KEYS.outbox, 6))]
    assert deletes(plan_commit(commit(9, EPOCH, EXPECTED, announced_seq=5), stored(trimmed_through=5))) == []


def test_the_crash_counter_is_deleted_when_asked() -> None:
    cleared = Commit(EXPECTED, head(3, EPOCH), outbox=entry(3, EPOCH), clear_attempts=True)
    assert deletes(plan_commit(cleared, stored())) == [(KEYS.attempts, b"")]
    assert encode_attempts(Attempts()) not in puts(plan_commit(cleared, stored())).values()


def test_parts_of_an_abandoned_commit_are_deleted_and_the_bare_keys_stay_out() -> None:
    plan = plan_commit(commit(3, EPOCH, EXPECTED), stored(orphaned_parts=True))
    assert deletes(plan) == [(numbered(folder, 3, 1), numbered(folder, 4)) for folder in (KEYS.outbox, KEYS.delta)]


@pytest.mark.parametrize("count", [1, 119, 124, 126, 127, 128, 500])
def test_a_transaction_never_has_more_operations_than_the_limit(count: int) -> None:
    plan = plan_commit(commit(9, EPOCH, EXPECTED, *many(count), announced_seq=3), stored(orphaned_parts=True))
    assert len(plan.steps) == 1
    assert len(plan.steps[0].success) <= 128


def test_what_exceeds_the_operations_is_left_in_a_delta_of_the_same_transaction() -> None:
    plan = plan_commit(commit(3, EPOCH, EXPECTED, *many(300)), stored())
    assert plan.effect.delta is not None
    left = {image.key for image in plan.effect.delta.images}
    assert len(plan.steps) == 1
    assert numbered(KEYS.delta, 3) in puts(plan)
    assert left.isdisjoint(entities(plan))
    assert left | set(entities(plan)) == {image.key for image in many(300)}
    assert decode_head(puts(plan)[KEYS.head]).pending == plan.head.pending == len(left)


def test_while_deltas_exist_a_quarter_of_the_operations_serves_them_oldest_first() -> None:
    behind = stored(Delta(1, 10, many(200, first=1_000)), Delta(2, 10, many(200, first=2_000)))
    written = entities(plan_commit(commit(3, EPOCH, EXPECTED, *many(300)), behind))
    followed = [name for name in written if name >= "model/01000"]
    assert followed == [image.key for image in many(len(followed), first=1_000)]
    assert len(followed) == 128 // 4 - 1


def test_what_a_commit_does_not_need_serves_the_deltas_too() -> None:
    behind = stored(Delta(1, 10, many(50, first=1_000)), Delta(2, 10, many(200, first=2_000)))
    plan = plan_commit(commit(3, EPOCH, EXPECTED, *many(2)), behind)
    assert len(plan.steps[0].success) in {127, 128}
    assert (KEYS.delta, numbered(KEYS.delta, 2)) in deletes(plan)
    assert plan.effect.dropped_through == 1


@pytest.mark.parametrize(("commits_max", "bytes_max"), [(1, 1_000), (5, 10)])
def test_past_the_limits_all_operations_serve_the_deltas(commits_max: int, bytes_max: int) -> None:
    backlog = Delta(1, 10, many(200, first=1_000))
    behind = stored(backlog, delta_commits_max=commits_max, delta_bytes_max=bytes_max)
    plan = plan_commit(commit(3, EPOCH, EXPECTED, *many(20)), behind)
    assert min(entities(plan)) == "model/01000"
    assert plan.effect.delta is not None
    assert plan.effect.delta.images == many(20)


def test_an_older_image_of_what_the_commit_changes_is_never_written() -> None:
    behind = stored(Delta(1, 10, (Image("model/a", b"old"), Image("model/b", b"old"))))
    plan = plan_commit(commit(3, EPOCH, EXPECTED, Image("model/a", b"new")), behind)
    assert puts(plan)[KEYS.entity("model/a")] == b"new"
    assert plan.effect.dropped_through == 1
    assert plan.head.pending == 0


def test_the_removal_of_an_entity_that_a_delta_mentions_is_a_tombstone_even_if_it_was_written() -> None:
    behind = stored(Delta(1, 10, (Image("model/a", b"1"), Image("model/b", b"1"))))
    behind.backlog.apply(Effect(settled=("model/a",)))
    plan = plan_commit(commit(3, EPOCH, EXPECTED, Image("model/a", None), Image("model/z", None)), behind)
    assert deletes(plan)[0] == (KEYS.entity("model/z"), b"")
    assert (KEYS.entity("model/a"), b"") not in deletes(plan)
    assert plan.effect.delta is not None
    assert plan.effect.delta.images == (Image("model/a", None),)


def test_a_tombstone_is_materialised_by_deleting_the_key() -> None:
    behind = stored(Delta(1, 10, (Image("model/a", None),)))
    plan = plan_trim(TrimRequest(EXPECTED, head(1, EPOCH), EPOCH), behind)
    assert plan is not None
    assert deletes(plan) == [(KEYS.entity("model/a"), b""), (KEYS.delta, numbered(KEYS.delta, 2))]


def test_what_exceeds_the_bytes_is_staged_in_parts_that_fit() -> None:
    announced = entry(3, EPOCH, announcements=(Announcement("model/a", "T", noise(0, 150_000)),))
    images = tuple(Image(f"model/{number}", noise(0, 70_000 + number)) for number in range(4))
    plan = plan_commit(Commit(EXPECTED, head(3, EPOCH), images, announced), stored(request_bytes_max=100_000))
    parts = [key for step in range(len(plan.steps) - 1) for key in puts(plan, step)]
    assert all(step.ByteSize() <= 100_000 for step in plan.steps)
    assert numbered(KEYS.delta, 3, 1) in parts
    assert numbered(KEYS.outbox, 3, 6) in parts
    assert {numbered(KEYS.delta, 3), numbered(KEYS.outbox, 3)} < set(puts(plan))
    assert entities(plan) == []


def test_a_staged_commit_deletes_parts_beyond_its_own_parts_in_its_last_step_only() -> None:
    announced = entry(3, EPOCH, announcements=(Announcement("model/a", "T", noise(0, 150_000)),))
    plan = plan_commit(Commit(EXPECTED, head(3, EPOCH), (), announced), stored(request_bytes_max=100_000))
    parts = len(plan.steps) - 1
    assert [deletes(plan, step) for step in range(parts)] == [[]] * parts
    assert deletes(plan) == [
        (numbered(KEYS.outbox, 3, parts + 1), numbered(KEYS.outbox, 4)),
        (numbered(KEYS.delta, 3, 1), numbered(KEYS.delta, 4)),
    ]


def test_an_entity_that_stands_there_although_it_is_too_large_is_written_to_its_key() -> None:
    big, announced = Image("model/big", noise(0, 150_000)), entry(3, EPOCH)
    small = tuple(Image(f"model/{number}", b"") for number in range(200))
    plan = plan_commit(Commit(EXPECTED, head(3, EPOCH), (*small, big), announced), stored(request_bytes_max=100_000))
    assert len(plan.steps) == 1
    assert "model/big" in entities(plan)
    announced = entry(3, EPOCH, announcements=(Announcement("model/big", "T", noise(0, 150_000)),))
    plan = plan_commit(Commit(EXPECTED, head(3, EPOCH), (small[0], big), announced), stored(request_bytes_max=100_000))
    assert [step.ByteSize() > 100_000 for step in plan.steps] == [False] * (len(plan.steps) - 1) + [True]
    assert entities(plan) == ["model/big"]


def test_what_waits_in_a_delta_follows_though_the_limit_was_lowered_meanwhile() -> None:
    waiting = (Image("model/big", noise(0, 150_000)), Image("model/small", b""))
    lowered = stored(Delta(1, 10, waiting), request_bytes_max=100_000)
    plan = plan_trim(TrimRequest(EXPECTED, head(1, EPOCH), EPOCH), lowered)
    assert plan is not None
    assert entities(plan) == ["model/big"]


def test_a_commit_record_that_fits_into_no_transaction_is_an_invalid_request() -> None:
    huge = Commit(EXPECTED, head(3, EPOCH), (), entry(3, EPOCH, commit_record=noise(0, 120_000)))
    with pytest.raises(InvalidRequest, match="seq 3 exceed a request"):
        plan_commit(huge, stored(request_bytes_max=100_000))


def test_large_entities_follow_a_few_at_a_time_and_at_least_one() -> None:
    large = tuple(Image(f"model/{number}", noise(0, 100_000)) for number in range(3))
    plan = plan_trim(TrimRequest(EXPECTED, head(1, EPOCH), EPOCH), stored(Delta(1, 10, large)))
    assert plan is not None
    assert entities(plan) == ["model/0"]
    assert plan.head.pending == 2


def test_there_is_nothing_to_tidy_without_deltas_when_all_is_trimmed() -> None:
    assert plan_trim(TrimRequest(EXPECTED, head(9, EPOCH, announced_seq=4), EPOCH), stored(trimmed_through=4)) is None


def test_tidying_writes_no_outbox_entry_and_keeps_seq() -> None:
    plan = plan_trim(TrimRequest(EXPECTED, head(9, EPOCH, announced_seq=5), EPOCH), stored(trimmed_through=4))
    assert plan is not None
    assert set(puts(plan)) == {KEYS.head}
    assert plan.head == head(9, EPOCH, announced_seq=5)


def test_what_goes_into_the_audit_log_is_written_in_the_same_transaction_however_large_it_is() -> None:
    note = AuditEntry(1_700_000_000_000, "adopt", "someone", 1, {"edited": ["model/a"]})
    key = KEYS.audit + b"1700000000000"
    for change in (commit(1, EPOCH, EXPECTED, *many(1)), staged_commit()):
        plan = plan_commit(msgspec.structs.replace(change, audit=note), stored())
        assert puts(plan)[key] == encode_audit(note)
    trimmed = plan_trim(TrimRequest(EXPECTED, head(9, EPOCH, announced_seq=5), EPOCH, note), stored(trimmed_through=4))
    assert trimmed is not None
    assert puts(trimmed)[key] == encode_audit(note)

"""A shard's records folded by the build that recorded them and by others, in memory."""

from typing import Any

import pytest

from processor.admin.rebuild import Rebuild
from processor.cluster.changes import diff
from processor.cluster.events import Event, ModelLoadRequested
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from processor.engine.errors import InvalidRequest
from processor.engine.operator.adoption import adopt
from processor.engine.recovery import restore
from processor.engine.values import Head, Image
from processor.replay.errors import RecordsGone
from processor.replay.fold import Build
from processor.replay.replaying import Start, Step, refold, replay_to
from tests.admin.test_rebuild import Shadow
from tests.engine.test_shard import edit
from tests.replay.shard import Shard, lived, load


class Careless(ClusterMachine):
    """A state generator with a defect: of some models it takes the wrong number of replicas."""

    def apply(self, state: State, event: Event) -> State | Rejected:
        if isinstance(event, ModelLoadRequested) and event.model.startswith("i"):
            event = event.model_copy(update={"deployment": event.deployment.model_copy(update={"replicas": 2})})
        return super().apply(state, event)


class Newer(ClusterMachine):
    """The state generator without the defect, and with a version of its own."""

    version = 2


class Crashing(ClusterMachine):
    """A state generator that cannot take one model."""

    def apply(self, state: State, event: Event) -> State | Rejected:
        if isinstance(event, ModelLoadRequested) and event.model == "churn":
            raise ZeroDivisionError
        return super().apply(state, event)


class Folds:
    """Folds of a shard by a build, and what they told."""

    def __init__(self, shard: Shard, machine: ClusterMachine) -> None:
        self.shard = shard
        self.build = Build(machine, shard.build.decoder, shard.build.encoder)
        self.told: list[tuple[int, int]] = []

    def __call__(self, state: Any, head: Head | None, target: int) -> State:
        def watch(step: Step) -> None:
            self.told.append((step.commit.seq, len(step.reduction.dead) if step.reduction else 0))

        folded: State = refold(self.shard.past().sources, self.build, Start(head, state), target, watch=watch)
        return folded

    def whole(self) -> State:
        return self(None, None, self.shard.head.seq)


def _live(shard: Shard) -> State:
    parts = shard.parts()
    state: State = restore(shard.store.load(), machine=parts.machine, encoder=parts.encoder).state
    return state


def _commits(shard: Shard) -> list[dict[str, Any]]:
    decode = shard.reference.schemas.decode
    return [decode(record.value or b"")[1] for record in shard.past().topics["commits"].records]


def test_the_build_that_recorded_them_gives_the_live_state() -> None:
    shard = lived()
    folds = Folds(shard, ClusterMachine())
    assert folds.whole() == _live(shard)
    assert folds.told == [(seq, 0) for seq in range(1, shard.head.seq + 1)]


def test_it_goes_on_from_a_state_on_the_way() -> None:
    shard = lived()
    half = replay_to(shard.past().sources, shard.build, shard.head.seq // 2)
    folds = Folds(shard, ClusterMachine())
    assert folds(half.state, half.head, shard.head.seq) == _live(shard)
    assert folds.told[0] == (half.seq + 1, 0)


def test_another_build_gives_what_it_would_have_made() -> None:
    careless = lived(Careless())
    fixed = Folds(careless, ClusterMachine()).whole()
    assert fixed == _live(lived())
    assert {"model/iris", "model/income"} <= {change.key for change in diff(_live(careless), fixed)}


def test_what_a_rebuild_announced_is_left_out_of_the_next_one() -> None:
    shard = lived(Careless())
    folds, shadow = Folds(shard, ClusterMachine()), Shadow()
    shard.machine = ClusterMachine()
    rebuild = Rebuild(shard.parts(), shadow, folds)
    rebuild.make()
    swapped = rebuild.promote(by="someone", facts={})
    assert swapped.needed
    load(shard, "late")
    shard.process()
    assert folds.whole() == _live(shard)
    assert diff(_live(shard), rebuild.make().rebuilt) == ()
    again = Rebuild(shard.parts(), shadow, Folds(shard, Careless())).make()
    assert {"model/iris", "model/income"} <= {change.key for change in diff(again.live, again.rebuilt)}


def test_a_fix_that_raises_the_version_is_promoted_before_the_fixed_processor_ever_ran() -> None:
    shard = lived(Careless())
    shard.machine = Newer()
    rebuild = Rebuild(shard.parts(), Shadow(), Folds(shard, Newer()))
    made = rebuild.make()
    assert (made.head.reducer_version, made.reducer_version) == (1, 2)
    assert rebuild.promote(by="someone", facts={}).needed
    assert (shard.head.reducer_version, shard.head.digest) == (2, made.digest)
    load(shard, "late")
    shard.process()
    assert shard.world.refusals == []
    assert [commit["kind"] for commit in _commits(shard)][-2:] == ["rebuild", "batch"]
    assert Folds(shard, Newer()).whole() == _live(shard)


def test_what_was_edited_or_taken_away_by_hand_stays_so() -> None:
    shard = lived()
    key, value = next((key, value) for key, value in shard.store.load().entities if key.startswith("model/"))
    other = next(name for name, _ in shard.store.load().entities if name.startswith("model/") and name != key)
    edit(shard.world, Image(other, value), with_head=False)
    edit(shard.world, Image(key, None), with_head=False)
    adopt(shard.parts())
    shard.process()
    assert key not in dict(shard.store.load().entities)
    assert Folds(shard, ClusterMachine()).whole() == _live(shard)


def test_an_event_that_the_build_cannot_take_is_passed_over_and_counted() -> None:
    shard = lived()
    folds = Folds(shard, Crashing())
    assert "churn" not in folds.whole().models
    assert sum(failed for _, failed in folds.told) == 1


def test_records_that_are_gone_are_no_state() -> None:
    shard = lived()
    shard.world.broker.trim("normal", 0, 2)
    with pytest.raises(RecordsGone, match="the oldest that is kept"):
        Folds(shard, ClusterMachine()).whole()
    assert issubclass(RecordsGone, InvalidRequest)

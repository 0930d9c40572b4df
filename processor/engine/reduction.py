"""Folding a batch through the state machine, cut so that one commit can carry it. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.announcements import EventRejection, Outcome
from processor.engine.inputs import Accepted, Decoded, Invalid, Undecodable
from processor.engine.machine import Change, StateMachine
from processor.engine.sizes import TOO_LARGE, SizeCheck

FIRST_CHUNK_EVENTS = 8
LEAST_ENTITIES_PER_EVENT = 0.25
FULL_ENOUGH_SHARE = 16
"""A commit with room for less than 1 in 16 of its entities is full."""


class Reduction(msgspec.Struct, frozen=True):
    """What the first events of a batch did.

    `outcomes` has one entry an event reduced, in order; `rejections` and `dead` are (index, what) in order.
    """

    outcomes: tuple[Outcome, ...]
    rejections: tuple[tuple[int, EventRejection], ...]
    dead: tuple[tuple[int, Undecodable], ...]
    changes: tuple[Change, ...]
    after: Any

    @property
    def no_op(self) -> bool:
        """Nothing changed, was rejected or dead-lettered: only positions move on."""
        return not (self.changes or self.rejections or self.dead)


class _Fold:
    """The fold under way: one state an event, so that it can be cut anywhere without doing it again."""

    def __init__(self, machine: StateMachine[Any, Any], start: Any, sizes: SizeCheck | None) -> None:
        self._machine = machine
        self._sizes = sizes
        self.base = machine.begin(start)
        self.states: list[Any] = []
        self.outcomes: list[Outcome] = []
        self.rejections: list[tuple[int, EventRejection]] = []
        self.dead: list[tuple[int, Undecodable]] = []
        self._changes_of: tuple[int, tuple[Change, ...]] = (0, ())

    def run(self, events: Sequence[Decoded]) -> None:
        """Reduce these events after those before."""
        state = self.states[-1] if self.states else self.base
        apply, rejection = self._machine.apply, self._machine.rejection
        states, outcomes = self.states, self.outcomes
        for item in events:
            if not isinstance(item, Accepted):
                self._refuse(item)
                states.append(state)
                continue
            try:
                result = apply(state, item.event)
            except Exception as error:  # noqa: BLE001 - a reducer's bug, whatever it raises, costs its event and no more
                self._refuse(Undecodable(item.cause, "reducer_error", str(error), type(error).__name__))
                states.append(state)
                continue
            if result is state:
                outcomes.append("unchanged")
            elif isinstance(result, rejection):
                refused: Any = result
                self.rejections.append((len(outcomes), EventRejection(item.cause, refused.code, refused.message)))
                outcomes.append("rejected")
            elif self._sizes is not None and (why := self._sizes.refusal(state, item.event, result)):
                self.rejections.append((len(outcomes), EventRejection(item.cause, TOO_LARGE, why)))
                outcomes.append("rejected")
            else:
                outcomes.append("applied")
                state = result
            states.append(state)

    def changes_of(self, count: int) -> tuple[Change, ...]:
        """Return the changes of the first `count` events."""
        if self._changes_of[0] != count:
            self._changes_of = count, self._machine.diff(self.base, self.states[count - 1]) if count else ()
        return self._changes_of[1]

    def prefix(self, count: int) -> Reduction:
        """Return the reduction of the first `count` events."""
        return Reduction(
            outcomes=tuple(self.outcomes[:count]),
            rejections=tuple(item for item in self.rejections if item[0] < count),
            dead=tuple(item for item in self.dead if item[0] < count),
            changes=self.changes_of(count),
            after=self.states[count - 1] if count else self.base,
        )

    def _refuse(self, item: Invalid | Undecodable) -> None:
        index = len(self.outcomes)
        if isinstance(item, Invalid):
            self.rejections.append((index, EventRejection(item.cause, "invalid_event", item.message)))
            self.outcomes.append("rejected")
        else:
            self.dead.append((index, item))
            self.outcomes.append("dead_lettered")


def reduce_batch(
    machine: StateMachine[Any, Any],
    start: Any,
    events: Sequence[Decoded],
    *,
    entities_max: int,
    sizes: SizeCheck | None = None,
) -> Reduction:
    """Fold events until all are reduced or their changes (almost) reach `entities_max` entities, never beyond it.

    At least one event is always reduced: one that alone exceeds the limit comes back alone. With `sizes` each event is
    checked, and refused when an entity would become too large.
    """
    fold = _Fold(machine, start, sizes)
    done, changed = 0, 0
    # Each look at what has changed costs a diff, so a commit that is almost full is left so.
    while done < len(events) and entities_max - changed >= entities_max // FULL_ENOUGH_SHARE:
        reached = min(len(events), done + _chunk(done, changed, entities_max - changed))
        fold.run(events[done:reached])
        changed = len(fold.changes_of(reached))
        if changed > entities_max:
            return fold.prefix(max(1, _largest_prefix(fold, done, reached, entities_max)))
        done = reached
    return fold.prefix(done)


def _chunk(done: int, changed: int, room: int) -> int:
    """Return how many events to reduce before looking again: what will probably fit, as the events so far went."""
    if not done:
        return FIRST_CHUNK_EVENTS
    entities_per_event = max(changed / done, LEAST_ENTITIES_PER_EVENT)
    return max(1, int(room * (1 - 1 / FULL_ENOUGH_SHARE) / entities_per_event))


def _largest_prefix(fold: _Fold, fits: int, exceeds: int, entities_max: int) -> int:
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if len(fold.changes_of(middle)) > entities_max:
            exceeds = middle
        else:
            fits = middle
    return fits

"""How large an entity may become, and which events are refused because of it. Pure.

An entity has to fit into one transaction of the store and, before and after together, into one record of the changes
topic. Whether an event is refused depends on the state before it, the event and the limits alone, never on where
batches are cut; the limits are recorded with each commit, so that a replay refuses the same events.

Three limits, because growth is not always asked for. The entity that an event brings contents for (`subject`) may grow
to `entity_bytes_max`. What any other event adds to an entity by the way (a status, a placement) may take it to
`by_the_way_bytes_max`, so that nobody suffers from a large neighbour. What takes away (`frees`) may write its few bytes
of status up to `value_bytes_max`. What is larger already, because a limit was lowered, may always change and go.

The check of every event would cost an encoding each. So a batch is reduced without it, then looked at: entities as they
are encoded anyway, and an upper bound of those that were overwritten within the batch. Only a batch in which something
may have been too large is reduced again, event by event.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from processor.engine.machine import StateMachine
from processor.engine.ports import Encoder

WEIGHED_WHOLE_BYTES = 4_096
"""Up to this size an entity is weighed as a whole; of a larger one what differs from the one before."""
TOO_LARGE = "entity_too_large"
SURROUNDINGS_BYTES = 4_096
"""What a change record has around its entity: key, headers, envelope, source and the usual transitions."""
SURROUNDINGS_SHARE = 4
"""Of small records, 1 part in 4 is kept for that."""


class SizeLimits(msgspec.Struct, frozen=True):
    """In bytes of the stored value; 0: no limit.

    `entity_bytes_max`: what an event may make the entity grow to that it brings contents for. `value_bytes_max`: the
    largest entity that the store takes.
    """

    entity_bytes_max: int = 0
    value_bytes_max: int = 0

    @property
    def by_the_way_bytes_max(self) -> int:
        """What any other event may make an entity grow to: halfway to what the store takes."""
        return (self.entity_bytes_max + self.value_bytes_max) // 2 if self.value_bytes_max else 0


UNLIMITED = SizeLimits()


def size_limits(*, record_bytes_max: int, value_bytes_max: int) -> SizeLimits:
    """Return the limits that follow from the largest record and the largest stored value."""
    surroundings = min(SURROUNDINGS_BYTES, record_bytes_max // SURROUNDINGS_SHARE)
    half = (record_bytes_max - surroundings) // 2
    return SizeLimits(min(half, value_bytes_max // 2) if value_bytes_max else half, value_bytes_max)


class SizeCheck:
    """Refuses events by the size of what they make of an entity."""

    def __init__(self, machine: StateMachine[Any, Any], encoder: Encoder, limits: SizeLimits) -> None:
        self._machine = machine
        self._encoder = encoder
        self._limits = limits

    def may_refuse(self, sizes: Iterable[int], before: Any, after: Any) -> bool:
        """Tell whether an event between two states may have to be refused.

        `sizes`: those of all entities that differ, as they are in `after`.
        """
        limit = self._limits.entity_bytes_max
        if not limit:
            return False
        if max(sizes, default=0) > limit:
            return True
        return any(self._may_exceed(key, series) for key, series in _overwritten(self._machine.puts(before, after)))

    def refusal(self, before: Any, event: Any, after: Any) -> str | None:
        """Return why an event is refused that would lead from one state to the other, None when it is not."""
        limits, bound = self._limits, self._encoder.size_bound
        for kind, name, old, new in self._machine.puts(before, after):
            key = f"{kind}/{name}"
            if new is None or bound(key, new) <= limits.entity_bytes_max:
                continue
            size = self._size(key, new)
            if size <= limits.entity_bytes_max:
                continue
            size_before = self._size(key, old)
            limit = self._exceeded(key, event, size_before, size)
            if limit:
                return (
                    f"{key} has {size_before} bytes and would have {size}, at most {limit} are taken "
                    "(half of the output topics' max.message.bytes or of what etcd takes): ask for less of it"
                )
        return None

    def _may_exceed(self, key: str, series: list[Any]) -> bool:
        """Tell whether one of an entity's successive values was too large; of large ones what differs is weighed."""
        limit, encoder = self._limits.entity_bytes_max, self._encoder
        known, bound = None, 0
        for entity in series:
            if entity is None:
                bound = 0
            elif bound > WEIGHED_WHOLE_BYTES:
                bound += encoder.growth_bound(key, known, entity)
            else:
                bound = encoder.size_bound(key, entity)
            if bound > limit:
                bound = self._size(key, entity)
                if bound > limit:
                    return True
            known = entity
        return False

    def _exceeded(self, key: str, event: Any, before: int, after: int) -> int:
        """Return the limit that growth exceeds, 0 for none."""
        limits = self._limits
        if after <= before:
            return 0
        if after > limits.entity_bytes_max and key == self._machine.subject(event):
            return limits.entity_bytes_max
        crossed = [limits.value_bytes_max]
        if not self._machine.frees(event):
            crossed.insert(0, limits.by_the_way_bytes_max)
        return next((limit for limit in crossed if before <= limit < after and limit), 0)

    def _size(self, key: str, entity: Any) -> int:
        return 0 if entity is None else len(self._encoder.encode(key, entity))


def _overwritten(puts: Iterable[tuple[str, str, Any, Any]]) -> list[tuple[str, list[Any]]]:
    """Return key and successive values but the last, the oldest first, of what was put more than once."""
    newest: set[tuple[str, str]] = set()
    earlier: dict[tuple[str, str], list[Any]] = {}
    for kind, name, _, entity in puts:
        place = (kind, name)
        if place not in newest:
            newest.add(place)
        elif place in earlier:
            earlier[place].append(entity)
        else:
            earlier[place] = [entity]
    return [(f"{kind}/{name}", series[::-1]) for (kind, name), series in earlier.items()]

"""Which events of a commit changed one entity: found by reducing them again, one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

from processor.cluster.difference import field_differences
from processor.cluster.document import entity_to_json
from processor.cluster.generator import apply
from processor.cluster.kinds import SECTIONS
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from processor.engine.inputs import Accepted, Record
from processor.engine.ports import EventDecoder


class Causes:
    """Reduces the records of single commits again; `state_before(seq)` is what the commit `seq` was built on."""

    def __init__(self, state_before: Callable[[int], State | None], decoder: EventDecoder) -> None:
        self._state_before = state_before
        self._decoder = decoder

    def __call__(self, seq: int, applied: Sequence[Record], key: str) -> list[tuple[str, ...]] | None:
        """Return what each of the records that a commit applied, in their order, did to `<kind>/<name>`.

        None where the state before the commit is not available.
        """
        state = self._state_before(seq) if applied else None
        if state is None:
            return None
        effects = []
        for record in applied:
            after = self._reduced(state, record)
            effects.append(_effect(entity(state, key), entity(after, key), key))
            state = after
        return effects

    def _reduced(self, state: State, record: Record) -> State:
        decoded = self._decoder.decode(record)
        if not isinstance(decoded, Accepted):
            return state
        result = apply(state, decoded.event)
        return state if isinstance(result, Rejected) else result


def entity(state: State, key: str) -> Any:
    """Return the entity `<kind>/<name>` of a state, None if there is none."""
    kind, _, name = key.partition("/")
    return state.policy if kind == "policy" else getattr(state, SECTIONS[kind]).get(name)


def _effect(before: Any, after: Any, key: str) -> tuple[str, ...]:
    if before is after:
        return ()
    kind = key.partition("/")[0]
    return tuple(change["field"] for change in field_differences(_plain(kind, before), _plain(kind, after)))


def _plain(kind: str, found: Any) -> dict[str, Any]:
    return {} if found is None else entity_to_json(kind, found)

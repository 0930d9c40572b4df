"""The cluster as a state machine: the interface that the engine runs it by."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster import generator
from processor.cluster.changes import Change, diff
from processor.cluster.entities import Policy
from processor.cluster.events import Event
from processor.cluster.growth import frees, subject
from processor.cluster.kinds import POLICY_NAME, SECTIONS
from processor.cluster.loading import load_state
from processor.cluster.rejection import Rejected
from processor.cluster.state import KINDS, UNTOUCHED, State, empty_state

KIND_OF_TABLE: Final[Mapping[str, str]] = MappingProxyType({table: kind for kind, table in SECTIONS.items()})
ENTITY_TYPES: Final[Mapping[str, type]] = MappingProxyType(
    {"policy": Policy, **{kind: struct for kind, _, struct in KINDS}}
)


class ClusterMachine:
    """Reduces events to states and states to changes. Every method is pure."""

    version: int = 1
    rejection: type = Rejected
    entity_types: Mapping[str, type] = ENTITY_TYPES

    def empty(self) -> State:
        """Return the state before any event."""
        return empty_state()

    def load(self, entities: Iterable[tuple[str, Any]]) -> State:
        """Build a state, indexes included, from entities keyed `<kind>/<name>`, in any order.

        Raises KeyError for an unknown kind. Without a policy the default one holds.
        """
        return load_state(entities)

    def entities(self, state: State) -> Iterator[tuple[str, Any]]:
        """Yield every entity with its key, ascending; the policy always."""
        tables = {kind: getattr(state, table) for kind, table, _ in KINDS} | {"policy": {POLICY_NAME: state.policy}}
        for kind in sorted(tables):
            for name in sorted(tables[kind]):
                yield f"{kind}/{name}", tables[kind][name]

    def begin(self, state: State) -> State:
        """Return the same contents with nothing marked as touched."""
        if state.touched is UNTOUCHED:
            return state
        return State(
            state.policy,
            state.servers,
            state.responders,
            state.models,
            state.pipelines,
            state.experiments,
            state.failures,
            UNTOUCHED,
            object(),
            state.indexes,
            state.headroom,
            state.placement_failures,
        )

    def apply(self, state: State, event: Event) -> State | Rejected:
        """Reduce one event. Returns the very same object if nothing changed."""
        return generator.apply(state, event)

    def diff(self, before: State, after: State) -> tuple[Change, ...]:
        """Return one change an entity that differs, by kind, then name."""
        return diff(before, after)

    def puts(self, before: State, after: State) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield (kind, name, entity before, entity after) of everything put since `before`; the policy cannot grow."""
        end, link = before.touched, after.touched
        while link and link is not end:
            table, name, old, new, link = link
            yield KIND_OF_TABLE[table], name, old, new

    def subject(self, event: Event) -> str | None:
        """Return the key of the entity that an event brings contents for, None if it brings none."""
        return subject(event)

    def frees(self, event: Event) -> bool:
        """Tell whether an event releases something or reports on a release."""
        return frees(event)

    def due_ms(self, state: State) -> int | None:
        """Return when the clock should tick next for something to happen, None: never."""
        return generator.due_ms(state)

"""The small protocol through which the engine sees a state machine: any pure domain can be run by it."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
E_contra = TypeVar("E_contra", contravariant=True)


class Rejection(Protocol):
    """Why an event was refused; the state stays as it was."""

    @property
    def code(self) -> str:
        """One of the domain's codes."""
        ...

    @property
    def message(self) -> str:
        """Free text for people."""
        ...


class Change(Protocol):
    """One entity before and after; `transitions` are the domain's own structs."""

    @property
    def kind(self) -> str:
        """Entity kind, singular."""
        ...

    @property
    def name(self) -> str:
        """Name within the kind; may contain slashes."""
        ...

    @property
    def op(self) -> str:
        """`create`, `update` or `delete`."""
        ...

    @property
    def before(self) -> Any:
        """The entity before, None when created."""
        ...

    @property
    def after(self) -> Any:
        """The entity after, None when deleted."""
        ...

    @property
    def transitions(self) -> tuple[Any, ...]:
        """What an agent, router or operator acts upon."""
        ...

    @property
    def key(self) -> str:
        """`<kind>/<name>`."""
        ...


class StateMachine(Protocol[S, E_contra]):
    """A pure state machine over immutable states.

    `version` is raised whenever the same events may give another state, other rejections or other bytes.
    `rejection` is the class whose instances `apply` returns for refused events.
    """

    version: int
    rejection: type

    def empty(self) -> S:
        """Return the state before any event."""
        ...

    def load(self, entities: Iterable[tuple[str, Any]]) -> S:
        """Build a state from decoded entities keyed `<kind>/<name>`, in any order."""
        ...

    def entities(self, state: S) -> Iterator[tuple[str, Any]]:
        """Yield every entity with its key, ascending; defaults that are never stored included."""
        ...

    def begin(self, state: S) -> S:
        """Return the same contents with nothing marked as touched."""
        ...

    def apply(self, state: S, event: E_contra) -> "S | Rejection":
        """Reduce one event. The very same object comes back when nothing changed."""
        ...

    def diff(self, before: S, after: S) -> tuple[Change, ...]:
        """Return one change an entity that differs; O(changed) for a descendant since `begin`."""
        ...

    def puts(self, before: S, after: S) -> Iterable[tuple[str, str, Any, Any]]:
        """Yield (kind, name, entity before, entity after) of everything put since `before`, the newest first.

        `after` descends from `before` by `apply`, with at most one `begin` between them. A removal puts None. What
        cannot grow may be left out.
        """
        ...

    def subject(self, event: E_contra) -> str | None:
        """Return the key of the entity that an event brings contents for, None for one that brings none."""
        ...

    def frees(self, event: E_contra) -> bool:
        """Tell whether an event removes something or reports on a removal: its side effects never get it rejected."""
        ...

    def due_ms(self, state: S) -> int | None:
        """When it wants to be woken; None: never."""
        ...

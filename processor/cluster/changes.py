"""The difference of two states: one change per entity that differs."""

from typing import Any

from msgspec import Struct

from processor.cluster.kinds import POLICY_NAME
from processor.cluster.state import KINDS, State
from processor.cluster.transitions import TRANSITIONS


class Change(Struct, frozen=True, gc=False):
    """One entity before and after (None: it does not exist); `op` is `create`, `update` or `delete`."""

    kind: str
    name: str
    op: str
    before: Any
    after: Any
    transitions: tuple[Any, ...]

    @property
    def key(self) -> str:
        """`<kind>/<name>`."""
        return f"{self.kind}/{self.name}"


def diff(before: State, after: State) -> tuple[Change, ...]:
    """Return the changes by kind, then name: O(changed) for states of one origin, else O(size), same answer."""
    changes = []
    if before.policy != after.policy:
        changes.append(_change("policy", POLICY_NAME, before.policy, after.policy))
    related = before.origin is after.origin
    touched = _touched(before, after) if related else {}
    for kind, table, _ in KINDS:
        old_table, new_table = getattr(before, table), getattr(after, table)
        if old_table is not new_table:
            for name in sorted(touched[table] if related else {*old_table, *new_table}):
                old, new = old_table.get(name), new_table.get(name)
                if old is not new and old != new:
                    changes.append(_change(kind, name, old, new))
    return tuple(changes)


def _touched(before: State, after: State) -> dict[str, set[str]]:
    """Return table → names that either of two states of one origin has touched."""
    names: dict[str, set[str]] = {table: set() for _, table, _ in KINDS}
    for touched in (before.touched, after.touched):
        link = touched
        while link:
            table, name, _, _, link = link
            names[table].add(name)
    return names


def _change(kind: str, name: str, before: Any, after: Any) -> Change:
    op = "create" if before is None else "delete" if after is None else "update"
    return Change(kind, name, op, before, after, tuple(TRANSITIONS[kind](before, after)))

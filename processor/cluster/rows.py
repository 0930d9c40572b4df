"""Rows of the tables inside entities: find one by its key, add or replace one."""

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, TypeVar

from msgspec.structs import replace

from processor.cluster.entities import Model, Version

Row = TypeVar("Row")
_index = attrgetter("index")


def find(items: Iterable[Any], key: Any) -> Any:
    """Return the item whose first field is the key, None if there is none."""
    for item in items:
        if getattr(item, item.__struct_fields__[0]) == key:
            return item
    return None


def find_version(model: Model | None, number: int) -> Version | None:
    """Return the version of this number, None if there is none."""
    if model is not None:
        for version in model.versions:
            if version.version == number:
                return version
    return None


def find_index(items: Iterable[Row], index: int) -> Row | None:
    """Return the server replica, or the entry, of this index, None if there is none."""
    for item in items:
        if item.index == index:  # type: ignore[attr-defined]
            return item
    return None


def with_row(rows: tuple[Row, ...], row: Row) -> tuple[Row, ...]:
    """Return the server replicas, or the entries, with this one added or in the place of the one of its index."""
    index: int = row.index  # type: ignore[attr-defined]
    position = index
    if position >= len(rows) or rows[position].index != index:  # type: ignore[attr-defined]
        position = bisect_left(rows, index, key=_index)
    following = position + (position < len(rows) and rows[position].index == index)  # type: ignore[attr-defined]
    return (*rows[:position], row, *rows[following:])


def with_version(model: Model, version: Version) -> Model:
    """Return the model with this version in the place of the one of its number."""
    versions = model.versions
    if len(versions) == 1:
        return replace(model, versions=(version,))
    return replace(
        model, versions=tuple([version if other.version == version.version else other for other in versions])
    )

"""The parts of an explanation."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Section(Struct, frozen=True):
    """A table of facts; all rows have the same columns, in the same order."""

    title: str
    rows: tuple[Mapping[str, Any], ...]


class Explanation(Struct, frozen=True):
    """The explanation of one entity.

    `status` what is explained, "" where the kind has no status · `rule` the rule that holds, in words · `facts` name →
    value of what it rests on; a name that ends in `_ms` is a time or a duration · `sections` facts of parts ·
    `awaits` who has to do what for it to get further; empty: nothing is outstanding.
    """

    kind: str
    name: str
    status: str
    rule: str
    facts: Mapping[str, Any]
    sections: tuple[Section, ...] = ()
    awaits: tuple[str, ...] = ()

"""Python source built line by line and compiled: the readers and writers of a schema are generated functions.

A general decoder interprets the schema for every value. The schemas are known when the process starts, so for each one
`reading` and `writing` generate a function with everything resolved: the order of fields, unions, record names and
limits are literals in its code. The strict check of the bytes is part of that code, not a second pass. Invariants:

* the text is made from parsed schemas alone. Names and symbols enter it through `repr` or as generated identifiers, so
  no schema can smuggle code in; values of events never become text;
* a reader accepts exactly the values that `guard.check` accepts; a test compares both on random schemas and bytes;
* a writer has one way to write a value, so equal entities have equal bytes: the state's digest relies on that.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Source:
    """Indented lines and fresh names."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indentation = 0
        self._names = 0

    def add(self, *lines: str) -> None:
        """Append lines at the current indentation."""
        self._lines += ["    " * self._indentation + line for line in lines]

    def name(self, prefix: str) -> str:
        """Return a name not used before."""
        self._names += 1
        return f"{prefix}{self._names}"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Append `head` and indent what follows."""
        self.add(head)
        self._indentation += 1
        yield
        self._indentation -= 1

    def compile(self, function: str, title: str, names: Mapping[str, Any]) -> Callable[..., Any]:
        """Return the function of that name; its globals are `names`."""
        scope = dict(names)
        code = compile("\n".join(self._lines) + "\n", f"<{title}>", "exec")
        exec(code, scope)  # noqa: S102 - the text is made here from a parsed schema; names in it are quoted with repr
        made: Callable[..., Any] = scope[function]
        return made

"""Python source made line by line, and compiled: how readers and writers come out of schemas."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Source:
    """Lines with indentation and names that are used once."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indentation = 0
        self._names = 0

    def add(self, *lines: str) -> None:
        """Append lines at the present indentation."""
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

"""The diagram of ARCHITECTURE.md, drawn from the imports: `python -m tests.pages.import_diagram` writes it anew.

An arrow that follows from other arrows is left out: `cli` imports `engine`, too, but reaches it over `demo` anyway.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import grimp

from processor.configuration.settings import PROJECT_DIRECTORY

PAGE = PROJECT_DIRECTORY / "ARCHITECTURE.md"
BLOCK = re.compile(r"```mermaid\nflowchart TD\n.*?```", re.DOTALL)

Imports = Mapping[str, frozenset[str]]
"""Package or module directly in `processor` → those that it imports."""


def imports() -> Imports:
    """Return what imports what, at the level of packages."""
    graph = grimp.build_graph("processor")
    children = sorted(graph.find_children("processor"))
    found: dict[str, frozenset[str]] = {}
    for child in children:
        modules = graph.find_descendants(child) | {child}
        targets = {target for module in modules for target in graph.find_modules_directly_imported_by(module)}
        names = {target.split(".")[1] for target in targets if target != "processor"}
        found[child.split(".")[1]] = frozenset(names - {child.split(".")[1]})
    return found


def reduced(graph: Imports) -> list[tuple[str, str]]:
    """Return the arrows that no other path stands for, sorted. The graph has no cycle."""
    reached: dict[str, frozenset[str]] = {}

    def below(name: str) -> frozenset[str]:
        if name not in reached:
            reached[name] = graph[name].union(*(below(target) for target in graph[name]))
        return reached[name]

    return [
        (name, target)
        for name in sorted(graph)
        for target in sorted(graph[name])
        if not any(target in below(other) for other in graph[name] - {target})
    ]


def diagram() -> str:
    """Return the Mermaid block; a node cannot be called `__main__`, so it stands as `main`."""
    arrows = [f"    {name.strip('_')} --> {target}" for name, target in reduced(imports())]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```"])


def with_diagram(page: str) -> str:
    """Return a page with its diagram drawn anew."""
    return BLOCK.sub(diagram(), page)


if __name__ == "__main__":
    Path(PAGE).write_text(with_diagram(PAGE.read_text()))

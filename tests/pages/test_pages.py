"""The pages for people name only what exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.cli.app import build
from processor.configuration.settings import PROJECT_DIRECTORY

PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


def _text(page: str) -> str:
    return (PROJECT_DIRECTORY / page).read_text()


def _commands() -> Iterator[str]:
    for name in build():
        if name.startswith("-"):
            continue
        below = [inner for inner in build()[name] if not inner.startswith("-")]
        yield from (f"{name} {inner}" for inner in below) if below else (name,)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^):#]+)\)", _text(page))
    assert [target for target in targets if not (PROJECT_DIRECTORY / target).exists()] == []


def test_decisions_are_numbered_without_repeats_or_gaps() -> None:
    pages = sorted((PROJECT_DIRECTORY / "docs/adr").glob("0*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    headings = [page.read_text().partition(". ")[0] for page in pages]
    assert headings == [f"# {number}" for number in range(1, len(pages) + 1)]


def test_each_law_is_shown_by_tests_that_exist() -> None:
    tests = "".join(path.read_text() for path in Path(PROJECT_DIRECTORY / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", _text("ARCHITECTURE.md"))
    assert len(named) >= 6
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_packages_and_modules_that_are_named_exist() -> None:
    listed = _text("ARCHITECTURE.md").partition("## Packages")[2].partition("## Scale")[0]
    named = re.findall(r"`([a-z_]+(?:/|\.py))`", listed)
    assert "cluster/" in named
    modules = [name for name in named if name not in {"exits.py", "output.py"}]
    assert [name for name in modules if not (PROJECT_DIRECTORY / "processor" / name).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_every_command_is_named(page: str) -> None:
    text = _text(page)
    spans = re.findall(r"`([a-z][a-z/ -]*)`", text)
    named = {f"{group} {part}".strip() for span in spans for group, part in _spelled_out(span)}
    assert [command for command in _commands() if command not in named] == []


def _spelled_out(span: str) -> Iterator[tuple[str, str]]:
    """Yield (group, command) of a span like `topics plan/apply/check` or `run`."""
    group, _, parts = span.partition(" ")
    yield from ((group, part) for part in parts.split("/"))

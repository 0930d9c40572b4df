"""The table of deliberate defects: read back, and written from a report of pytest's."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.zoo.catalogue import CATALOGUE

HEADINGS = ("Defect", "What it would do", "Caught by", "After", "Seconds")
INTRODUCTION = """\
# The bug zoo

Tests that find nothing in a broken processor say nothing of a sound one. Each of these defects is built into the real
engine or the real adapters, one at a time, by a subclass in the tests; the product has no switch for any of them. The
test beside it fails unless the defect is found. "After" is how many seeds of the simulation it took.

Written by `make bug-zoo`, which runs them all; the seconds are those of the machine that wrote this.

"""


class Caught(NamedTuple):
    """How long a test took that caught its defect; `seeds` is empty for those that play no seeds."""

    seconds: str
    seeds: str


def rows(page: str) -> list[tuple[str, str]]:
    """Return defect and test of each row of a written page."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return [(row[0], row[2].strip("`")) for row in cells[2:]]


def caught(report: str) -> dict[str, Caught]:
    """Return what a JUnit report says of each test that passed, by node id."""
    found = {}
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - our own report
        if any(case.find(failed) is not None for failed in ("failure", "error", "skipped")):
            continue
        properties = {item.get("name"): item.get("value", "") for item in case.iter("property")}
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        found[name] = Caught(f"{float(case.get('time', 'nan')):.1f}", properties.get("seeds", ""))
    return found


def written(found: Mapping[str, Caught]) -> str:
    """Return the page. Raises KeyError for a test that is missing."""
    table = [HEADINGS, ("---", "---", "---", "--:", "--:")]
    table += [
        (entry.defect, entry.harm, f"`{entry.test}`", _seeds(found[entry.test]), found[entry.test].seconds)
        for entry in CATALOGUE
    ]
    return INTRODUCTION + "".join(map(_line, table))


def _seeds(entry: Caught) -> str:
    return f"{entry.seeds} seed{'' if entry.seeds == '1' else 's'}" if entry.seeds else ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells).replace("  |", " |") + " |\n"

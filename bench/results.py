"""What a benchmark says: median, least and most of each figure over its runs, as JSON and as a table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

Figures = Mapping[str, float]
"""Name with its unit → value, of one run."""


class Row(msgspec.Struct, frozen=True):
    """One thing measured in several runs."""

    title: str
    settings: Mapping[str, Any]
    runs: Sequence[Figures]

    def spread(self) -> dict[str, tuple[float, float, float]]:
        """Return median, least and most of each figure."""
        return {
            name: (median(values), min(values), max(values))
            for name in self.runs[0]
            if (values := [run[name] for run in self.runs])
        }


class Report(msgspec.Struct, frozen=True):
    """All rows of one call, and the machine that they were measured on."""

    began: datetime
    machine: Mapping[str, Any]
    rows: Sequence[Row]


def markdown(report: Report) -> str:
    """Return the report as a page."""
    machine = "\n".join(f"* {name}: {value}" for name, value in report.machine.items())
    parts = [f"# Benchmarks, {report.began:%Y-%m-%d %H:%M} UTC\n\n{machine}\n"]
    parts += [_section(row) for row in report.rows]
    return "\n".join(parts)


def write(report: Report, folder: Path, name: str) -> Path:
    """Write `<name>.json` and `<name>.md`; return the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**msgspec.to_builtins(row), "spread": row.spread()} for row in report.rows]
    document = {"began": report.began, "machine": report.machine, "rows": rows}
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    page = folder / f"{name}.md"
    page.write_text(markdown(report))
    return page


def _section(row: Row) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in row.settings.items())
    lines = [
        f"## {row.title}",
        "",
        f"{settings}; {len(row.runs)} runs.",
        "",
        "| | median | min | max |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | " + " | ".join(_shown(value) for value in values) + " |" for name, values in row.spread().items()
    ]
    return "\n".join(lines) + "\n"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

"""The costs as a table, a column a cluster, and as JSON with every run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.costs.shapes import Shape
from bench.costs.walk import Cost


class Column(msgspec.Struct, frozen=True):
    """What was measured on one cluster."""

    shape: Shape
    costs: Sequence[Cost]


def written(columns: Sequence[Column], host: Mapping[str, Any], began: datetime, folder: Path) -> str:
    """Write `<time>-costs.json` and `.md` into the folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"{began:%Y%m%d-%H%M%S}-costs"
    document = {"began": began, "machine": host, "columns": columns}
    name.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    page = _page(columns, host, began)
    name.with_suffix(".md").write_text(page)
    return page


def _page(columns: Sequence[Column], host: Mapping[str, Any], began: datetime) -> str:
    names = list(dict.fromkeys([cost.name for column in columns for cost in column.costs]))
    heads = [f"{column.shape.models:,} × {column.shape.replicas_a_model}" for column in columns]
    shapes = [
        f"* {head}: models × replicas of each, on {shape.servers} servers × {shape.replicas_a_server} replicas"
        for head, shape in zip(heads, [column.shape for column in columns], strict=True)
    ]
    lines = [
        f"# The state generator alone, {began:%Y-%m-%d %H:%M} UTC",
        "",
        *[f"* {name}: {value}" for name, value in host.items()],
        *shapes,
        "",
        "µs of processor time, median of the runs (events/s)",
        "",
        f"| | {' | '.join(heads)} |",
        f"|---|{'--:|' * len(heads)}",
        *[f"| {name} | {' | '.join(_cell(column.costs, name) for column in columns)} |" for name in names],
    ]
    return "\n".join(lines) + "\n"


def _cell(costs: Sequence[Cost], name: str) -> str:
    for cost in costs:
        if cost.name == name:
            us = median(cost.us)
            return f"{us:,.1f} ({1e6 / us:,.0f})"
    return ""

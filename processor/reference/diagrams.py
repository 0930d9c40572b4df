"""The lifecycle tables as pages with diagrams: `python -m processor.reference.diagrams DIRECTORY` writes them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from processor.cluster import lifecycle, pipeline_lifecycle, statuses

Edge = tuple[str, str, str]
"""From, to, and what leads there."""
NOTHING = "[*]"

_MADE = "<!-- made by `make diagrams` from the tables of the state generator; a test keeps it so -->"


def pages() -> dict[str, str]:
    """Return file name → page."""
    return {
        "replicas.md": _page("Lifecycle of a model version's replica on a server replica", _replicas()),
        "versions.md": _page("Status of a model's version", _versions()),
        "pipelines.md": _page("Lifecycle of a pipeline's version", _pipelines()),
        "experiments.md": _page("Status of an experiment", _experiments()),
    }


def _replicas() -> Iterator[str]:
    yield "## When a placement chooses the server replica\n"
    yield diagram(placement_edges())
    yield "## What the server replica reports\n"
    yield diagram(report_edges())
    yield "| state | " + " | ".join(f"`{name}`" for name in lifecycle.REPORTS) + " |"
    yield "|---|" + "---|" * len(lifecycle.REPORTS)
    yield from (_report_row(state) for state in lifecycle.REPLICA_STATES)
    yield "\n*same*: a repeat, nothing changes. *–*: rejected, `unexpected_report`.\n"
    yield "## What the router reports\n"
    yield "For entries in the routes; an entry in UnrouteRequested, which waits for its traffic to stop, is in none.\n"
    yield diagram(route_edges())
    yield "## When it is no longer wanted there\n"
    yield diagram(retirement_edges())
    yield "## When the server replica drains\n"
    yield diagram(_moves(lifecycle.DRAIN, "ServerReplicaDraining"))
    yield "## When the server replica connects again\n"
    yield "If it lists the version as loaded; an entry that it does not list is lost.\n"
    yield diagram(reconnection_edges())
    yield "## When the server replica is lost\n"
    yield "Or connects again without listing the version. A model whose entry is removed is placed again.\n"
    yield diagram(loss_edges())


def _versions() -> Iterator[str]:
    yield "The status is derived whenever the model changes: the first rule that holds decides.\n"
    yield "## The latest version, and the one that serves until the latest is rolled out\n"
    yield choice(lifecycle.LIVE_STATUS)
    yield "## A version that retires\n"
    yield choice(lifecycle.RETIRING_STATUS)


def _pipelines() -> Iterator[str]:
    yield "## Progress of one role\n"
    yield diagram(role_edges())
    yield "## Status of a version that is wanted\n"
    yield "The first rule that holds decides. A role is up when it is Ready or Rebalancing.\n"
    yield choice(pipeline_lifecycle.PIPELINE_LIVE_STATUS)
    yield "## Status of a version that is deleted\n"
    yield choice(pipeline_lifecycle.PIPELINE_ENDING_STATUS)


def _experiments() -> Iterator[str]:
    yield "The status is derived whenever the experiment changes: the first rule that holds decides.\n"
    yield choice(statuses.EXPERIMENT_STATUS)


def placement_edges() -> Iterator[Edge]:
    """Yield the moves of an entry on a server replica that a placement chooses."""
    yield NOTHING, lifecycle.LOAD_REQUESTED, "chosen"
    yield from _moves(lifecycle.SELECTED, "chosen")


def report_edges() -> Iterator[Edge]:
    """Yield the moves that reports of server replicas cause."""
    for name, rule in lifecycle.REPORTS.items():
        yield from ((state, rule.target, name) for state in lifecycle.REPLICA_STATES if state in rule.sources)


def route_edges() -> Iterator[Edge]:
    """Yield the moves that applied and failed routes cause."""
    yield from _moves(lifecycle.ROUTED, "ModelRouteApplied")
    yield from _moves(lifecycle.UNROUTED, "ModelRouteApplied")
    yield from _moves(lifecycle.UNROUTABLE, "ModelRouteFailed")


def retirement_edges() -> Iterator[Edge]:
    """Yield the moves of an unwanted entry, in the announced routes or not."""
    for state in _ordered(lifecycle.RETIREMENT):
        routed, unrouted = lifecycle.RETIREMENT[state]
        if routed == unrouted:
            yield state, routed, "not wanted"
        else:
            yield state, routed, "not wanted, in the routes"
            yield state, unrouted, "not wanted, not in the routes"
    yield from _moves(lifecycle.UNLOAD_RETRIED, "unloaded again")


def reconnection_edges() -> Iterator[Edge]:
    """Yield the moves of an entry that a server replica lists as loaded when it connects."""
    for state in lifecycle.REPLICA_STATES:
        if state in lifecycle.READOPTED:
            yield state, lifecycle.LOADED, "wanted"
            yield state, lifecycle.UNLOAD_REQUESTED, "not wanted"
        else:
            yield state, lifecycle.UNLOAD_REQUESTED, "wanted or not"


def loss_edges() -> Iterator[Edge]:
    """Yield the moves of an entry that its server replica lost."""
    for state in lifecycle.REPLICA_STATES:
        yield state, NOTHING, "wanted"
    yield from _moves(lifecycle.LOST, "not wanted")


def role_edges() -> Iterator[Edge]:
    """Yield the moves of a role: requests, answers, and responders that connect or leave."""
    yield NOTHING, pipeline_lifecycle.REQUESTED[pipeline_lifecycle.CREATE], "wanted"
    yield NOTHING, pipeline_lifecycle.WITHOUT_RESPONDERS[pipeline_lifecycle.CREATE][0], "wanted, no responders"
    for state, operation in pipeline_lifecycle.RESPONDER_JOINED.items():
        yield state, pipeline_lifecycle.REQUESTED[operation], "a responder connects"
    for state, (decisive, then, otherwise) in pipeline_lifecycle.ANSWERS_COMBINED.items():
        yield state, then, f"all have answered, one {decisive}"
        yield state, otherwise, f"all have answered, none {decisive}"
    for state, operation in pipeline_lifecycle.LAST_RESPONDER_LEFT.items():
        yield state, pipeline_lifecycle.WITHOUT_RESPONDERS[operation][0], "the last responder leaves"
        if state == pipeline_lifecycle.TO_CREATE:
            yield state, pipeline_lifecycle.WITHOUT_RESPONDERS[pipeline_lifecycle.DELETE][0], "not wanted"
        elif state not in pipeline_lifecycle.ENDING:
            yield state, pipeline_lifecycle.REQUESTED[pipeline_lifecycle.DELETE], "not wanted"
    for state, operation in pipeline_lifecycle.RETRIED.items():
        yield state, pipeline_lifecycle.REQUESTED[operation], "tried again"


def diagram(edges: Iterable[Edge]) -> str:
    """Return a Mermaid diagram of the states; several moves between the same two states are one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for source, target, label in edges:
        labels = arrows.setdefault((source, target), [])
        if label not in labels:
            labels.append(label)
    return _mermaid(
        f"{source} --> {target}: {' / '.join(labels)}" for (source, target), labels in sorted(arrows.items())
    )


def choice(rules: Iterable[tuple[str, Callable[..., bool]]]) -> str:
    """Return a Mermaid diagram of status rules; the first that holds decides."""
    arrows = [f"first --> {status}: {place}. {_words(holds)}" for place, (status, holds) in enumerate(rules, start=1)]
    return _mermaid(["state first <<choice>>", f"{NOTHING} --> first", *arrows])


def _report_row(state: str) -> str:
    return f"| {state} | " + " | ".join(_answer(state, rule) for rule in lifecycle.REPORTS.values()) + " |"


def _answer(state: str, rule: lifecycle.ReportRule) -> str:
    if state in rule.sources:
        return f"→ {rule.target}"
    return "*same*" if state in rule.repeats else "–"


def _moves(table: Mapping[str, str], label: str) -> Iterator[Edge]:
    yield from ((state, table[state], label) for state in _ordered(table))


def _ordered(table: Mapping[str, Any]) -> list[str]:
    return [state for state in lifecycle.REPLICA_STATES if state in table]


def _words(holds: Callable[..., bool]) -> str:
    return (holds.__doc__ or "").removeprefix("Tell whether ").rstrip(".")


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in lines), "```", ""])


def _page(title: str, parts: Iterable[str]) -> str:
    return "\n".join([f"# {title}\n", _MADE, "", *parts]).rstrip("\n") + "\n"


def main(directory: Path) -> None:
    """Write all pages into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

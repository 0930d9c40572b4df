"""The product's state generator beside the reference: what differs, and the shortest run of events that shows it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from processor.cluster.document import from_document
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.simulation import parse_line
from processor.cluster.simulation import simulate as simulate_product
from tests.reference.failures import due_ms
from tests.reference.simulation import Trace, document, trace
from tests.reference.words import Json

Difference = tuple[str, Any, Any]  # path, the reference's value, the product's


class Way(NamedTuple):
    """How the product runs: in batches of so many events; with `cut`, fed its own state document after so many."""

    batch_events: int = 1
    cut: int = 0


def differences(lines: list[str], way: Way, traced: Trace | None = None) -> list[Difference]:
    """Run the product and, unless its trace is at hand, the reference over the same lines."""
    expected = comparable(document(traced or trace(lines), way.batch_events))
    if way.cut:
        first: Any = simulate_product(lines[: way.cut], batch_events=way.batch_events)
        state = from_document(first["state"])
        second: Any = simulate_product(lines[way.cut :], state=state, batch_events=way.batch_events)
        due = unequal(due_ms(first["state"]), ClusterMachine().due_ms(state), "due")
        return [*due, *unequal(expected["state"], second["state"], "state")]
    actual: Any = simulate_product(lines, batch_events=way.batch_events)
    return list(unequal(expected, comparable(actual), ""))


def least_difference(lines: list[str], traced: Trace, seed: int) -> str:
    """Compare one run event by event, in batches, and cut in two; return the shortest run that differs, else ""."""
    for way in (Way(), Way(batch_events=(2, 3, 7, 50)[seed % 4]), Way(cut=len(lines) // 2)):
        if differences(lines, way, traced):
            least = shrink(lines, lambda fewer, way=way: bool(differences(fewer, way)))  # type: ignore[misc]
            return f"{way}\n{report(least, differences(least, way))}"
    due = due_differences(lines, traced[0])
    return report(lines, due) if due else ""


def due_differences(lines: list[str], states: list[Json]) -> list[Difference]:
    """Return after which events the two disagree on when the clock should tick next."""
    machine = ClusterMachine()
    state, found = machine.empty(), []
    for place, (line, expected) in enumerate(zip(lines, states[1:], strict=True)):
        event = parse_line(line)["event"]
        outcome = event if isinstance(event, Rejected) else machine.apply(state, event)
        state = state if isinstance(outcome, Rejected) else outcome
        if machine.due_ms(state) != due_ms(expected):
            found.append((f"/due/{place}", due_ms(expected), machine.due_ms(state)))
    return found


def comparable(document: Json) -> Json:
    """Return the document without the messages of rejections, which are free text, its lists keyed by place."""
    rejected = {each["index"]: {"type": each["type"], "code": each["code"]} for each in document["rejected"]}
    changes: Json = {}
    for change in document["changes"]:
        changes.setdefault(f"{change['batch']:05}", []).append(change)
    return {"changes": changes, "rejected": rejected, "state": document["state"]}


def unequal(expected: Any, actual: Any, path: str) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted({*expected, *actual}, key=str):
            yield from unequal(expected.get(key, "(none)"), actual.get(key, "(none)"), f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from unequal(left, right, f"{path}/{place}")
    elif type(expected) is not type(actual) or expected != actual:
        yield path, expected, actual


def shrink(lines: list[str], differs: Callable[[list[str]], bool]) -> list[str]:
    """Drop events, runs of many first, as long as what is left still differs."""
    for end in range(1, len(lines) + 1):
        if differs(lines[:end]):
            lines = lines[:end]
            break
    size = max(1, len(lines) // 2)
    while size:
        start = 0
        while start < len(lines):
            fewer = lines[:start] + lines[start + size :]
            if fewer and differs(fewer):
                lines = fewer
            else:
                start += size
        size //= 2
    return lines


def report(lines: list[str], found: list[Difference]) -> str:
    """Return the lines and the differences of a run as text for people."""
    shown = [f"{path}\n  reference {left!r}\n  product   {right!r}" for path, left, right in found[:12]]
    return "\n".join([*lines, f"{len(found)} differences", *shown])

"""What no honest participant sends: reports out of the blue, and events that the border should look at twice."""

import json
from random import Random
from typing import Any

from tests.reference.requests import EXPERIMENTS, MODELS, PIPELINES, Event, Requests
from tests.reference.words import Json

ODD_VALUES: list[Any] = [
    None,
    True,
    1.0,
    1.5,
    "1",
    "",
    " ",
    "A",
    "-a",
    "a" * 253,
    "a" * 254,
    "inner",
    "\ud800",
    [],
    {},
    [None],
]
ODD_NUMBERS = [-2, -1, 0, 1, 100, 101, 2**63 - 1, 2**63, -(2**63) - 1, 10**30]
ODD_LINES = [
    "[" * 100_000,
    '{"type": "ClockTicked", "at_ms": NaN, "data": {}}',
    '{"type": "A\\ud800"}',
    "nonsense",
    "[]",
    '"text"',
    "1",
    "null",
    "{}",
    "{",
    '{"type": 5}',
    '{"type": null, "at_ms": 1, "data": {}}',
]
REPLICA_REPORTS = ["Loading", "Loaded", "LoadFailed", "Unloading", "Unloaded", "UnloadFailed"]


def blind_report(random: Random, requests: Requests, targets: list[Json]) -> Event:
    """Return a report about anything, true or not; mostly about one of `targets` (entries)."""
    where = {"model": random.choice([*MODELS, "ghost"]), "version": random.randint(1, 3), **requests.at_replica()}
    if targets and random.random() < 0.8:
        where = random.choice(targets)
    revision = {"route_revision": random.randint(0, 6)}
    kind = random.choice([*REPLICA_REPORTS, *REPLICA_REPORTS, "model", "experiment", "pipeline"])
    if kind in REPLICA_REPORTS:
        extra: Json = {"available_memory": random.choice([0, 100, 1000])} if kind.endswith("ed") else {}
        extra = {"reason": requests.reason()} if kind.endswith("Failed") else extra
        return f"ModelReplica{kind}", {**where, **extra}
    if kind == "pipeline":
        target = {**requests.responder(), "pipeline": random.choice(PIPELINES), "version": random.randint(1, 3)}
        answer = {"sequence": random.randint(0, 4), "success": random.random() < 0.5, "reason": requests.reason()}
        return "PipelineReported", {**target, **answer}
    holder = {"model": where["model"]} if kind == "model" else {"experiment": random.choice(EXPERIMENTS)}
    if random.random() < 0.5:
        return f"{kind.capitalize()}RouteApplied", {**holder, **revision}
    return f"{kind.capitalize()}RouteFailed", {**holder, **revision, "reason": requests.reason()}


def broken(random: Random, kind: str, at_ms: int, data: Json) -> str:
    """Return a line that differs in one place from a good one, or is none at all."""
    line: Json = json.loads(json.dumps({"type": kind, "at_ms": at_ms, "data": data}))
    choice = random.random()
    if choice < 0.1:
        return random.choice(ODD_LINES)
    if choice < 0.2:
        line["id"] = random.choice(["", "x", 5, None])
    elif choice < 0.3:
        disturb(random, line)
    else:
        disturb(random, random.choice(list(objects(line["data"]))))
    return json.dumps(line)


def objects(value: Any) -> list[Json]:
    """Return every object inside a value, itself included."""
    if isinstance(value, list):
        return [inner for item in value for inner in objects(item)]
    if isinstance(value, dict):
        return [value, *(inner for item in value.values() for inner in objects(item))]
    return []


def disturb(random: Random, record: Json) -> None:
    choice = random.random()
    if choice < 0.2 or not record:
        record["colour"] = "red"
    elif choice < 0.4:
        del record[random.choice(sorted(record))]
    else:
        field = random.choice(sorted(record))
        odd = ODD_NUMBERS if random.random() < 0.5 else ODD_VALUES
        record[field] = [random.choice(odd)] if random.random() < 0.15 else random.choice(odd)

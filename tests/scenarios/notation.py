"""Events as people write them: a type, what it is about, and what differs from the defaults.

    ServerReplicaConnected s1/0 memory=200 capabilities=gpu,sklearn loaded_models=iris:1
    ModelLoadRequested iris memory=100 replicas=2
    ModelReplicaLoadFailed iris:1@s1/0 reason="no such file"
    ModelRouteApplied iris#1
    PipelineLoadRequested flow steps=ant,bee<ant+cow output=bee
    PipelineReported flow:1#1 dataflow_engine/e0 success=true
    ExperimentStartRequested duel candidates=ant:90,bee:10 mirror=cow:5
    @61s ClockTicked

An event comes a second after the one before unless a time stands before it.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import asdict

from processor.cluster.entities import Policy

SECOND_MS = 1_000
TIME = re.compile(r"@(\d+)(ms|s|m|h)")
UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": 60 * SECOND_MS, "h": 3_600 * SECOND_MS}

PLACE = re.compile(r"(?P<server>[a-z0-9-]+)/(?P<replica>\d+)")
ENTRY = re.compile(r"(?P<model>[a-z0-9-]+):(?P<version>\d+)@(?P<server>[a-z0-9-]+)/(?P<replica>\d+)")
VERSION = re.compile(r"(?P<model>[a-z0-9-]+):(?P<version>\d+)")
RESPONDER = re.compile(r"(?P<role>[a-z_]+)/(?P<responder>[a-z0-9-]+)")
ASKED = re.compile(r"(?P<pipeline>[a-z0-9-]+):(?P<version>\d+)#(?P<sequence>\d+)")

SPEC = {"uri", "requirements", "memory", "instances", "server"}
DEPLOYMENT = {"replicas", "min_replicas", "max_replicas"}


def _named(kind: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<{kind}>[a-z0-9-]+)")


def _revised(kind: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<{kind}>[a-z0-9-]+)#(?P<route_revision>\d+)")


# Beginning of a type's name → what stands after it, the first that fits.
SUBJECTS: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...] = (
    ("ServerReplica", (PLACE,)),
    ("Server", (_named("server"),)),
    ("ModelReplica", (ENTRY,)),
    ("ModelRoute", (_revised("model"),)),
    ("ModelScale", (VERSION,)),
    ("Model", (_named("model"),)),
    ("PipelineReported", (ASKED, RESPONDER)),
    ("Pipeline", (_named("pipeline"),)),
    ("ExperimentRoute", (_revised("experiment"),)),
    ("Experiment", (_named("experiment"),)),
    ("Responder", (RESPONDER,)),
)


def read_event(text: str, previous_ms: int) -> tuple[int, str]:
    """Return when it happens and its line of a simulation input. Raises ValueError for what is no such event."""
    words = shlex.split(text)
    at_ms = previous_ms + SECOND_MS
    if time := TIME.fullmatch(words[0]):
        at_ms, words = int(time[1]) * UNITS_MS[time[2]], words[1:]
    name, rest = words[0], words[1:]
    data: dict[str, Any] = asdict(Policy()) if name == "PolicyChanged" else {}
    for pattern in next((patterns for start, patterns in SUBJECTS if name.startswith(start)), ()):
        found = pattern.fullmatch(rest[0])
        if found is None:
            raise ValueError(f"{text}: {rest[0]} is not what {name} is about")
        data |= {field: _value(word) for field, word in found.groupdict().items()}
        rest = rest[1:]
    for word in rest:
        field, _, value = word.partition("=")
        _put(data, name, field, value)
    if name == "ModelLoadRequested":
        data.setdefault("spec", {}).setdefault("uri", "one")
    return at_ms, json.dumps({"type": name, "at_ms": at_ms, "data": data})


def _put(data: dict[str, Any], name: str, field: str, value: str) -> None:
    if name == "ModelLoadRequested" and field in SPEC | DEPLOYMENT:
        data = data.setdefault("spec" if field in SPEC else "deployment", {})
    data[field] = READERS.get(field, _value)(value)


def _value(word: str) -> Any:
    if word in {"true", "false"}:
        return word == "true"
    return int(word) if re.fullmatch(r"-?\d+", word) else word


def _pairs(second: str, first: str = "name") -> Callable[[str], list[dict[str, Any]]]:
    def read(text: str) -> list[dict[str, Any]]:
        pairs = (word.split(":") for word in text.split(","))
        return [{first: name, second: int(number)} for name, number in pairs]

    return read


def _steps(text: str) -> Iterator[dict[str, Any]]:
    for word in text.split(","):
        name, _, inputs = word.partition("<")
        yield {"name": name, "inputs": inputs.split("+") if inputs else []}


READERS: dict[str, Callable[[str], Any]] = {
    "capabilities": lambda text: text.split(","),
    "requirements": lambda text: text.split(","),
    "loaded_models": _pairs("version", "model"),
    "candidates": _pairs("weight"),
    "mirror": lambda text: _pairs("percent")(text)[0],
    "steps": lambda text: list(_steps(text)),
    "output": lambda text: {"steps": text.split(",")},
    "reason": str,
    "uri": str,
}

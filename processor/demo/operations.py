"""The operator: a script that shows each feature once, then random decisions."""

from collections.abc import Mapping
from random import Random
from typing import Any, Self

import msgspec

from processor.demo.agents import BROKEN, BROKEN_REASON, FLAKY
from processor.demo.fleet import GIBIBYTE, ReplicaId
from processor.demo.notices import Event, Garbage, Notice

RESYNC_EVENTS = 1200
FLAPS_MS = (6200, 6900, 7600, 8300)
REVISION_MAX = 10_000
DEMO_POLICY = Event(
    "PolicyChanged",
    {
        "retry_interval_ms": 3000,
        "retry_limit": 10,
        "tombstone_ttl_ms": 8000,
        "scale_down_stabilisation_ms": 2000,
        "model_autoscaling": True,
        "server_autoscaling": True,
        "pack_servers": False,
    },
)


class Drain(msgspec.Struct, frozen=True):
    """Empty a server replica before it goes."""

    place: ReplicaId


class Die(msgspec.Struct, frozen=True):
    """Lose a server replica without warning."""

    place: ReplicaId


class DrainServer(msgspec.Struct, frozen=True):
    """Empty all replicas of a server for maintenance."""

    server: str


class Flap(msgspec.Struct, frozen=True):
    """Lose a server replica that comes back at once."""

    place: ReplicaId


Action = Event | Garbage | Drain | Die | DrainServer | Flap


class Definition(msgspec.Struct, frozen=True):
    """A model as its owner wants it; memory in bytes. `build`: what its URI ends with instead of the revision."""

    model: str
    requirement: str
    memory: int
    replicas: int = 1
    replicas_max: int = 3
    revision: int = 1
    generation: int = 1
    build: str = ""

    def load(self) -> Event:
        """Return the request to load it."""
        return Event(
            "ModelLoadRequested",
            {
                "model": self.model,
                "generation": self.generation,
                "spec": {
                    "uri": f"s3://models/{self.model}/{self.build or self.revision}",
                    "requirements": [self.requirement],
                    "memory": self.memory,
                },
                "deployment": {"replicas": self.replicas, "min_replicas": 1, "max_replicas": self.replicas_max},
            },
        )

    def unload(self) -> Event:
        """Return the request to unload it."""
        return Event("ModelUnloadRequested", {"model": self.model, "generation": self.generation})

    def next(self, **changes: Any) -> Self:
        """Return the definition after a change by its owner."""
        return msgspec.structs.replace(self, generation=self.generation + 1, **changes)


CATALOGUE = (
    Definition("iris", "sklearn", 1 * GIBIBYTE),
    Definition("income", "sklearn", 2 * GIBIBYTE, replicas=2),
    Definition("churn", "xgboost", 3 * GIBIBYTE),
    Definition("digits", "torch", 12 * GIBIBYTE),
    Definition("whisper", "cuda", 20 * GIBIBYTE, replicas=2),
    Definition("fraud", "xgboost", 1 * GIBIBYTE, replicas=2),
    Definition("speech", "torch", 2 * GIBIBYTE, build=FLAKY),
)

TRIAGE = Event(
    "PipelineLoadRequested",
    {
        "pipeline": "triage",
        "steps": [{"name": "iris"}, {"name": "churn", "inputs": ["iris.outputs"]}],
        "output": {"steps": ["churn"]},
        "allow_cycles": False,
    },
)
DUEL = Event(
    "ExperimentStartRequested",
    {
        "experiment": "duel",
        "default": "iris",
        "candidates": [{"name": "iris", "weight": 70}, {"name": "income", "weight": 30}],
    },
)
UNDECODABLE = Garbage(b"this is no event")
INVALID = Event("ModelLoadRequested", {"model": "No Such Name!", "spec": {"uri": "s3://models/none"}})


class Operator(msgspec.Struct, frozen=True):
    """Who wants what: the definitions of the models that are to be loaded."""

    loaded: Mapping[str, Definition] = {}
    unloaded: Mapping[str, Definition] = {}

    def wants(self, definition: Definition) -> Self:
        """Remember that a model is to be loaded like this."""
        others = {name: one for name, one in self.unloaded.items() if name != definition.model}
        return msgspec.structs.replace(self, loaded={**self.loaded, definition.model: definition}, unloaded=others)

    def forgets(self, model: str) -> Self:
        """Remember that a model is to be unloaded."""
        gone = self.loaded[model]
        others = {name: one for name, one in self.loaded.items() if name != model}
        return msgspec.structs.replace(self, loaded=others, unloaded={**self.unloaded, model: gone})

    def hear(self, notice: Notice) -> tuple[Self, list[Event]]:
        """Roll a broken build back when it is announced that it failed."""
        wanted = self.loaded.get(notice.name) if notice.kind == "model" else None
        failed = any(BROKEN_REASON in one["reason"] for one in notice.of_type("ModelFailed"))
        if wanted is None or wanted.build != BROKEN or not failed:
            return self, []
        good = wanted.next(build="")
        return self.wants(good), [good.load()]


class Cue(msgspec.Struct, frozen=True):
    """What happens `at_ms` after the start."""

    at_ms: int
    actions: tuple[Action, ...]


def script(generation: int = 1) -> tuple[tuple[Cue, ...], Operator]:
    """Return the opening, which shows everything once, and what the operator wants at its end.

    Generations count from `generation`: higher than those of an earlier play on the same cluster.
    """
    iris, income, churn, digits, whisper, fraud, speech = (
        msgspec.structs.replace(definition, generation=generation) for definition in CATALOGUE
    )
    second_iris, second_income = iris.next(revision=2), income.next(replicas=3)
    broken_fraud = fraud.next(build=BROKEN)
    wanted = (second_iris, second_income, churn, whisper)
    cues = (
        Cue(0, (DEMO_POLICY,)),
        Cue(300, (iris.load(), income.load(), churn.load(), fraud.load())),
        Cue(700, (speech.load(),)),
        Cue(900, (whisper.load(),)),
        Cue(1300, (TRIAGE, DUEL)),
        Cue(1700, (second_income.load(),)),
        Cue(2000, (UNDECODABLE, INVALID, income.unload())),
        Cue(2300, (second_iris.load(),)),
        Cue(2800, (Drain(("cpu", 1)),)),
        Cue(3300, _resync(wanted, Drain(("edge", 0)))),
        Cue(4000, (Die(("cpu", 0)),)),
        Cue(4600, (digits.load(),)),
        Cue(5000, (broken_fraud.load(),)),
        Cue(5400, (digits.unload(),)),
        *(Cue(at_ms, (Flap(("lab", 0)),)) for at_ms in FLAPS_MS),
        Cue(9000, (DrainServer("batch"),)),
    )
    operator = Operator()
    for definition in (*wanted, broken_fraud, speech, digits):
        operator = operator.wants(definition)
    return cues, operator.forgets("digits")


def improvise(operator: Operator, places: tuple[ReplicaId, ...], random: Random) -> tuple[Operator, tuple[Action, ...]]:
    """Decide one small thing; `places` are the server replicas that may be troubled now."""
    choice = random.choices(
        ("update", "resize", "unload", "load", "scale", "drain", "die", "resync", "stale"),
        weights=(5, 4, 2, 4, 2, 2, 1.5, 0.7, 0.5),
    )[0]
    if choice in {"drain", "die"}:
        return operator, _trouble(choice, places, random)
    if choice == "load":
        return _load(operator, random)
    if not operator.loaded:
        return operator, ()
    return _change(operator, choice, operator.loaded[random.choice(sorted(operator.loaded))], random)


def _change(
    operator: Operator, choice: str, definition: Definition, random: Random
) -> tuple[Operator, tuple[Action, ...]]:
    match choice:
        case "update":
            changed = definition.next(revision=definition.revision % REVISION_MAX + 1, build="")
            return operator.wants(changed), (changed.load(),)
        case "resize":
            changed = definition.next(replicas=random.randint(1, definition.replicas_max))
            return operator.wants(changed), (changed.load(),)
        case "unload":
            return operator.forgets(definition.model), (definition.unload(),)
        case "scale":
            direction = random.choice(("up", "down"))
            data = {"model": definition.model, "version": definition.revision, "direction": direction}
            return operator, (Event("ModelScaleRequested", data),)
        case "stale":
            old = msgspec.structs.replace(definition, generation=max(1, definition.generation - 1))
            return operator, (old.load(),)
        case _:
            return operator, _resync(tuple(operator.loaded.values()), None)


def _load(operator: Operator, random: Random) -> tuple[Operator, tuple[Action, ...]]:
    if not operator.unloaded:
        return operator, ()
    again = operator.unloaded[random.choice(sorted(operator.unloaded))].next()
    return operator.wants(again), (again.load(),)


def _trouble(choice: str, places: tuple[ReplicaId, ...], random: Random) -> tuple[Action, ...]:
    """Return trouble for one replica; the last one of all is left in peace."""
    if len(places) < 2:
        return ()
    place = random.choice(sorted(places))
    return (Drain(place),) if choice == "drain" else (Die(place),)


def _resync(definitions: tuple[Definition, ...], in_the_middle: Action | None) -> tuple[Action, ...]:
    """Return every request again and again, as a controller sends them that lost track: a flood on the normal topic."""
    repeats = [definitions[n % len(definitions)].load() for n in range(RESYNC_EVENTS)]
    half = len(repeats) // 2
    between: list[Action] = [in_the_middle] if in_the_middle else [DEMO_POLICY]
    return (*repeats[:half], *between, *repeats[half:])

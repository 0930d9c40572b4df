"""What is measured: the life of models, servers that come and go, the clock, pipelines and experiments."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.costs.shapes import CROWDED, CROWDED_MODELS, MODEL_BYTES, Shape, crowded_name, model_name
from bench.costs.walk import Walk
from processor.cluster.events import Event
from processor.cluster.explanations.models import explain_model
from processor.cluster.explanations.servers import explain_server
from processor.cluster.lifecycle import LOAD_REQUESTED, LOADING, UNLOAD_REQUESTED, UNLOADING

WAITING_BYTES = 1 << 50
"""No server replica has so much memory."""
RETRY_MS = 60_000
MODELS_APART = 3
"""A new pipeline has models that are so far apart by number."""


def life_of_models(walk: Walk, shape: Shape, *, models: int) -> None:
    """Load models, have them report until they serve, and take them away again."""
    names = [f"new-{number:05}" for number in range(models)]
    loads = [_load(walk, name, shape.replicas_a_model) for name in names]
    walk.changes("500 loads", loads)
    walk.step("load", loads)
    walk.step("replica report: loading", _reports(walk, names, LOAD_REQUESTED, "ModelReplicaLoading"))
    loaded = _reports(walk, names, LOADING, "ModelReplicaLoaded", -MODEL_BYTES)
    walk.changes("500 loaded", loaded)
    walk.step("replica report: loaded", loaded)
    walk.step("route applied", _routes(walk, names))
    walk.aside("load, repeated", [_load(walk, name, shape.replicas_a_model) for name in names], idle=True)
    walk.step("unload", [walk.event("ModelUnloadRequested", model=name, generation=2) for name in names])
    walk.step("route applied, of an unloaded model", _routes(walk, names))
    walk.step("replica report: unloading", _reports(walk, names, UNLOAD_REQUESTED, "ModelReplicaUnloading"))
    walk.step("replica report: unloaded", _reports(walk, names, UNLOADING, "ModelReplicaUnloaded", MODEL_BYTES))


def crowded_server(walk: Walk) -> None:
    """Lose a server replica that hosts a thousand models, and have it back."""
    hosted = [{"model": crowded_name(number), "version": 1} for number in range(CROWDED_MODELS)]
    record = walk.state.servers[CROWDED].replicas[0]
    back: dict[str, Any] = {"memory": record.memory, "available_memory": 0, "capabilities": list(record.capabilities)}
    place: dict[str, Any] = {"server": CROWDED, "replica": 0}
    walk.aside("drain, 1,000 models there", [walk.event("ServerReplicaDraining", **place)])
    walk.aside(
        "reconnect, holds its 1,000", [walk.event("ServerReplicaConnected", **place, **back, loaded_models=hosted)]
    )
    walk.step("disconnect, 1,000 models there", [walk.event("ServerReplicaDisconnected", **place)])
    walk.step(
        "connect with 1,000 orphans", [walk.event("ServerReplicaConnected", **place, **back, loaded_models=hosted)]
    )


def flows(walk: Walk, *, count: int) -> None:
    """Have pipelines and experiments made anew, and answer for them."""
    names = [f"fresh-{number:05}" for number in range(count)]
    models = [model_name(MODELS_APART * number) for number in range(count + 1)]
    pairs = list(zip(names, models, models[1:], strict=False))
    walk.step("pipeline load", [_pipeline(walk, name, one, other) for name, one, other in pairs])
    walk.step("pipeline report", [*_answers(walk, names)])
    starts = [_experiment(walk, name, one, other) for name, one, other in pairs]
    walk.step("experiment start", starts)
    walk.step(
        "experiment route applied",
        [walk.event("ExperimentRouteApplied", experiment=name, route_revision=1) for name in names],
    )


def clock(walk: Walk, *, waiting: int) -> None:
    """Tick with nothing due, then with so many models due that find no place."""
    walk.aside("tick, nothing due", [walk.event("ClockTicked") for _ in range(500)], idle=True)
    walk.step("load, no server can take it", [_load(walk, *_hopeless(number)) for number in range(waiting)])
    walk.aside(f"tick, {waiting} retries due", [walk.event("ClockTicked", later_ms=2 * RETRY_MS)])
    walk.aside("tick, nothing due but later", [walk.event("ClockTicked", later_ms=-2 * RETRY_MS)], idle=True)


def unloaded_while_others_wait(walk: Walk, *, waiting: int) -> None:
    """Free memory while so many models, each of another size, wait for more than there is."""
    names = [model_name(number) for number in range(50)]
    walk.skip([walk.event("ModelUnloadRequested", model=name) for name in names])
    walk.skip(_routes(walk, names))
    reports = _reports(walk, names, UNLOAD_REQUESTED, "ModelReplicaUnloaded", MODEL_BYTES)
    walk.aside(f"replica report: unloaded, {waiting} models wait", reports)


def crowd_of_loads(walk: Walk, shape: Shape, *, models: int) -> None:
    """Load where most servers are full."""
    loads = [_load(walk, f"new-{number:05}", shape.replicas_a_model) for number in range(models)]
    walk.aside("load, three servers in four full", loads)


def explanations(walk: Walk, *, waiting: int) -> None:
    """Explain what serves, a crowded server, and models that find no place."""
    names = [model_name(number) for number in range(200)]
    walk.reading("explain a model that serves", explain_model, names)
    walk.reading("explain a model without a place", explain_model, [_hopeless(number)[0] for number in range(waiting)])
    walk.reading("explain a server with 1,000 models", explain_server, [CROWDED])


def _hopeless(number: int) -> tuple[str, int, int]:
    return f"huge-{number:05}", 1, WAITING_BYTES + number


def _load(walk: Walk, name: str, replicas: int, size_bytes: int = MODEL_BYTES) -> Event:
    spec = {"uri": f"gs://models/{name}/1", "memory": size_bytes, "requirements": ["sklearn"], "parameters": {}}
    return walk.event("ModelLoadRequested", model=name, generation=1, spec=spec, deployment={"replicas": replicas})


def _reports(walk: Walk, names: Sequence[str], state: str, event_type: str, freed_bytes: int = 0) -> list[Event]:
    """Return a report from every entry in this state, the first of each model first."""
    free: dict[tuple[str, int], int] = {}
    places = [
        (order, name, version.version, version.server, entry.index)
        for name in names
        for version in walk.state.models[name].versions
        for order, entry in enumerate(version.replicas)
        if entry.state == state
    ]
    events = []
    for _, name, version, server, index in sorted(places):
        data: dict[str, Any] = {"model": name, "version": version, "server": server, "replica": index}
        if event_type in {"ModelReplicaLoaded", "ModelReplicaUnloaded"}:
            left = free.get((server, index), walk.state.servers[server].replicas[index].available_memory)
            free[server, index] = data["available_memory"] = max(0, left + freed_bytes)
        events.append(walk.event(event_type, **data))
    return events


def _routes(walk: Walk, names: Sequence[str]) -> list[Event]:
    return [
        walk.event("ModelRouteApplied", model=name, route_revision=walk.state.models[name].route_revision)
        for name in names
    ]


def _pipeline(walk: Walk, name: str, one: str, other: str) -> Event:
    steps = [{"name": one, "inputs": [name]}, {"name": other, "inputs": [one]}]
    return walk.event("PipelineLoadRequested", pipeline=name, generation=1, steps=steps, output={"steps": [other]})


def _answers(walk: Walk, names: Sequence[str]) -> Iterator[Event]:
    for name in names:
        version = walk.state.pipelines[name].versions[-1]
        for role, axis in (("dataflow_engine", version.engine), ("pipeline_gateway", version.gateway)):
            for answer in axis.answers:
                yield walk.event(
                    "PipelineReported",
                    role=role,
                    responder=answer.responder,
                    pipeline=name,
                    version=version.version,
                    sequence=axis.sequence,
                    success=True,
                )


def _experiment(walk: Walk, name: str, one: str, other: str) -> Event:
    candidates = [{"name": one, "weight": 1}, {"name": other, "weight": 2}]
    return walk.event("ExperimentStartRequested", experiment=name, generation=1, candidates=candidates)

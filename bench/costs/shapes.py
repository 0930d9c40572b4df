"""States of a given size, made at once: entities as they stand when everything serves, then loaded."""

from collections.abc import Iterator
from typing import Any

import msgspec

from processor.cluster.entities import (
    Answer,
    Candidate,
    Deployment,
    Experiment,
    Model,
    ModelSpec,
    Pipeline,
    PipelineVersion,
    Replica,
    Responder,
    Server,
    ServerReplica,
    Step,
    StepOutput,
    Version,
)
from processor.cluster.machine import ClusterMachine
from processor.cluster.pipeline_lifecycle import CREATE, ENGINE_ROLE, GATEWAY_ROLE, SUCCEEDED
from processor.cluster.role_progress import NOT_REQUESTED, start, with_answer
from processor.cluster.state import State

START_MS = 1_700_000_000_000
MODEL_BYTES = 1 << 30
SPARE_MODELS = 100
"""So many more models each server replica has room for."""
CROWDED = "server-crowded"
CROWDED_MODELS = 1_000
MODELS_A_PIPELINE = 10
"""For so many models there is one pipeline, and one experiment."""

Responders = dict[str, tuple[str, ...]]
"""Role → names ascending."""


class Shape(msgspec.Struct, frozen=True):
    """How large a cluster is; the first `full_servers` by name have no room left."""

    models: int
    servers: int = 200
    replicas_a_server: int = 20
    replicas_a_model: int = 10
    full_servers: int = 0


def populated(machine: ClusterMachine, shape: Shape) -> State:
    """Return the state: all models serve, a pipeline and an experiment for ten each, and one crowded server besides.

    The crowded server, last by name, holds a thousand models on the first half of its replicas, whatever the size.
    """
    return machine.load(_entities(shape))


def model_name(number: int) -> str:
    """Return the name of a model."""
    return f"model-{number:06}"


def crowded_name(number: int) -> str:
    """Return the name of a model on the crowded server."""
    return f"crowd-{number:04}"


def server_name(number: int) -> str:
    """Return the name of a server."""
    return f"server-{number:03}"


def _entities(shape: Shape) -> Iterator[tuple[str, Any]]:
    servers, width, size = shape.servers - 1, shape.replicas_a_model, shape.replicas_a_server
    for number in range(servers):
        spare = 0 if number < shape.full_servers else SPARE_MODELS
        name = server_name(number)
        yield f"server/{name}", _server(name, [spare] * size)
    for number in range(shape.models):
        name, first = model_name(number), number // servers * width
        places = sorted({(first + offset) % size for offset in range(width)})
        yield f"model/{name}", _model(name, server_name(number % servers), places, number)
    half = size // 2
    yield f"server/{CROWDED}", _server(CROWDED, [0] * half + [2 * CROWDED_MODELS] * (size - half))
    for number in range(CROWDED_MODELS):
        name = crowded_name(number)
        yield f"model/{name}", _model(name, CROWDED, list(range(min(half, width))), number)
    yield from _flows(shape.models)


def _server(name: str, spare_models: list[int]) -> Server:
    replicas = [
        ServerReplica(
            index,
            ("sklearn", "xgboost"),
            4 * CROWDED_MODELS * MODEL_BYTES,
            spare * MODEL_BYTES,
            draining=False,
            drained=False,
            inference_host=f"{name}-{index}",
            http_port=9000,
            grpc_port=9001,
            connected_ms=START_MS - 1,
            orphans=(),
        )
        for index, spare in enumerate(spare_models)
    ]
    return Server(name, True, 1, len(replicas), 0, 0, True, None, tuple(replicas))  # noqa: FBT003 - by position


def _model(name: str, server: str, places: list[int], number: int) -> Model:
    since_ms = START_MS - 10 - number
    spec = ModelSpec(f"gs://models/{name}/1", ("sklearn",), MODEL_BYTES, 1, "", ())
    deployment = Deployment(len(places), 0, 0)
    replicas = tuple([Replica(index, "Available", "", since_ms) for index in places])
    version = Version(1, spec, deployment, server, replicas, None, "Available", "", since_ms, len(places), 0, 0)
    return Model(name, 1, False, None, 1, 1, (version,))  # noqa: FBT003 - deleted, by position


def _flows(models: int) -> Iterator[tuple[str, Any]]:
    responders: Responders = {ENGINE_ROLE: ("engine-0", "engine-1"), GATEWAY_ROLE: ("gateway-0", "gateway-1")}
    for role, names in responders.items():
        for name in names:
            yield f"responder/{role}/{name}", Responder(role, name, START_MS - 1)
    for number in range(models // MODELS_A_PIPELINE):
        one, other = model_name(MODELS_A_PIPELINE * number), model_name(MODELS_A_PIPELINE * number + 1)
        flow, split = f"flow-{number:06}", f"split-{number:06}"
        yield f"pipeline/{flow}", _pipeline(flow, one, other, responders)
        yield f"experiment/{split}", _experiment(split, one, other)


def _pipeline(name: str, one: str, other: str, responders: Responders) -> Pipeline:
    steps = (_step(one, (name,)), _step(other, (one,)))
    axes = []
    for names in responders.values():
        progress = start(NOT_REQUESTED, CREATE, names)
        for responder in names:
            progress = with_answer(progress, Answer(responder, SUCCEEDED, ""))
        axes.append(progress)
    version = PipelineVersion(
        version=1,
        steps=steps,
        output=StepOutput((other,), "inner", 0, ()),
        allow_cycles=False,
        engine=axes[0],
        gateway=axes[1],
        models_ready=True,
        status="Ready",
        reason="",
        status_since_ms=START_MS - 1,
    )
    return Pipeline(name, 1, False, None, (version,))  # noqa: FBT003 - deleted, by position


def _step(name: str, inputs: tuple[str, ...]) -> Step:
    return Step(name, inputs, (), "inner", "inner", 0, (), 0, 0)


def _experiment(name: str, one: str, other: str) -> Experiment:
    return Experiment(
        name=name,
        generation=1,
        deleted=False,
        deleted_ms=None,
        kind="model",
        default="",
        candidates=(Candidate(one, 50), Candidate(other, 50)),
        mirror=None,
        candidates_ready=True,
        mirror_ready=True,
        routes_wanted=True,
        active=True,
        route_revision=1,
        route_applied_revision=1,
        status="Active",
        reason="",
        status_since_ms=START_MS - 1,
    )

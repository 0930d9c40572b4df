"""The entities of the cluster state: frozen structs, in the shape in which they are stored and announced.

This is a stored format: the schemas in `schemas/state` and `schemas/changes` have the same fields. A table inside an
entity is a tuple of structs sorted by its key, which is the first field and unique. All numbers are integers, times
are milliseconds since the epoch, sizes are bytes.
"""

from typing import Final

from msgspec import Struct

INTEGER_MAX: Final = 2**63 - 1
"""The largest number that an event or an entity may hold."""


class NameValue(Struct, frozen=True, gc=False):
    """One pair of a map of strings."""

    name: str
    value: str


class Policy(Struct, frozen=True, gc=False):
    """The rules an operator may change; there is exactly one, named `cluster`."""

    retry_interval_ms: int = 60_000
    retry_limit: int = 10
    tombstone_ttl_ms: int = 86_400_000
    scale_down_stabilisation_ms: int = 60_000
    model_autoscaling: bool = True
    server_autoscaling: bool = True
    pack_servers: bool = False


class Orphan(Struct, frozen=True, gc=False, order=True):
    """A model version that is loaded on a server replica although nothing wants it there."""

    model: str
    version: int


class ServerReplica(Struct, frozen=True, gc=False):
    """One connected process of a server. `available_memory` is what it reported last."""

    index: int
    capabilities: tuple[str, ...]
    memory: int
    available_memory: int
    draining: bool
    drained: bool
    inference_host: str
    http_port: int
    grpc_port: int
    connected_ms: int
    orphans: tuple[Orphan, ...]


class Server(Struct, frozen=True, gc=False):
    """A pool of server replicas. `expected_replicas` −1: unknown; `max_replicas` 0: no cap."""

    name: str
    declared: bool
    generation: int
    expected_replicas: int
    min_replicas: int
    max_replicas: int
    shared: bool
    requested_replicas: int | None
    replicas: tuple[ServerReplica, ...]


class ModelSpec(Struct, frozen=True, gc=False):
    """What to load. `server` pins it to one server, "" allows any."""

    uri: str
    requirements: tuple[str, ...]
    memory: int
    instances: int
    server: str
    parameters: tuple[NameValue, ...]


class Deployment(Struct, frozen=True, gc=False):
    """How many replicas to load. `max_replicas` 0: no cap."""

    replicas: int
    min_replicas: int
    max_replicas: int


class Replica(Struct, frozen=True, gc=False):
    """A version on one server replica of its server; `state` is one of `lifecycle.REPLICA_STATES`."""

    index: int
    state: str
    reason: str
    since_ms: int


class PlacementDetail(Struct, frozen=True, gc=False):
    """Why one server did not take a version."""

    server: str
    code: str


class PlacementFailure(Struct, frozen=True, gc=False, cache_hash=True):
    """Why no server took a version; `details` names every server. Its hash is kept: many versions share one."""

    code: str
    details: tuple[PlacementDetail, ...]


class Version(Struct, frozen=True, gc=False):
    """One definition of a model with its replicas, all on `server` ("" = unbound). From `status` on: derived."""

    version: int
    spec: ModelSpec
    deployment: Deployment
    server: str
    replicas: tuple[Replica, ...]
    placement_failure: PlacementFailure | None
    status: str
    reason: str
    status_since_ms: int
    available_replicas: int
    unavailable_replicas: int
    draining_replicas: int


class Model(Struct, frozen=True, gc=False):
    """A model and its versions, ascending and never empty; the last is the latest."""

    name: str
    generation: int
    deleted: bool
    deleted_ms: int | None
    route_revision: int
    route_applied_revision: int
    versions: tuple[Version, ...]


class Route(Struct, frozen=True, gc=False):
    """The share of a model's traffic, in percent, that the named replicas of one version take."""

    version: int
    server: str
    replicas: tuple[int, ...]
    weight: int


class Step(Struct, frozen=True, gc=False):
    """One model of a pipeline and where its tensors come from."""

    name: str
    inputs: tuple[str, ...]
    triggers: tuple[str, ...]
    inputs_join: str
    triggers_join: str
    join_window_ms: int
    tensor_map: tuple[NameValue, ...]
    batch_size: int
    batch_window_ms: int


class StepOutput(Struct, frozen=True, gc=False):
    """Which tensors a pipeline returns."""

    steps: tuple[str, ...]
    join: str
    join_window_ms: int
    tensor_map: tuple[NameValue, ...]


class Answer(Struct, frozen=True, gc=False):
    """The answer of one responder to the request with the sequence of its role."""

    responder: str
    state: str
    reason: str


class RoleProgress(Struct, frozen=True, gc=False):
    """How far the responders of one role have brought a pipeline version about. Schemas call it Axis."""

    state: str
    sequence: int
    answers: tuple[Answer, ...]
    reason: str


class PipelineVersion(Struct, frozen=True, gc=False):
    """One definition of a pipeline. The fields from `models_ready` on are derived."""

    version: int
    steps: tuple[Step, ...]
    output: StepOutput
    allow_cycles: bool
    engine: RoleProgress
    gateway: RoleProgress
    models_ready: bool
    status: str
    reason: str
    status_since_ms: int


class Pipeline(Struct, frozen=True, gc=False):
    """A chain of models and its versions, ascending and never empty."""

    name: str
    generation: int
    deleted: bool
    deleted_ms: int | None
    versions: tuple[PipelineVersion, ...]


class Candidate(Struct, frozen=True, gc=False):
    """A model or pipeline that gets a share of an experiment's traffic."""

    name: str
    weight: int


class Mirror(Struct, frozen=True, gc=False):
    """A model or pipeline that gets a copy of part of an experiment's traffic."""

    name: str
    percent: int


class Experiment(Struct, frozen=True, gc=False):
    """A split of traffic. The fields from `candidates_ready` to `routes_wanted`, and from `status` on, are derived."""

    name: str
    generation: int
    deleted: bool
    deleted_ms: int | None
    kind: str
    default: str
    candidates: tuple[Candidate, ...]
    mirror: Mirror | None
    candidates_ready: bool
    mirror_ready: bool
    routes_wanted: bool
    active: bool
    route_revision: int
    route_applied_revision: int
    status: str
    reason: str
    status_since_ms: int


class Responder(Struct, frozen=True, gc=False):
    """A connected process that runs pipelines; its name in the state is `<role>/<responder>`."""

    role: str
    responder: str
    connected_ms: int


class Failure(Struct, frozen=True, gc=False):
    """A failed operation that is remembered and retried; its name in the state is `<kind>/<name>`."""

    kind: str
    name: str
    code: str
    message: str
    since_ms: int
    attempts: int
    next_retry_ms: int

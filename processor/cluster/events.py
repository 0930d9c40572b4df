"""The events: one class for each thing that happens. `event_parsing` builds them from data of unknown quality."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processor.cluster.event_fields import (
    Candidates,
    Count,
    DeploymentFields,
    Direction,
    Expected,
    Fields,
    Kind,
    LoadedModels,
    MirrorFields,
    Name,
    NameOrNone,
    OutputFields,
    Positive,
    Role,
    SpecFields,
    Steps,
    Text,
    Texts,
)


class Event(Fields):
    """Something that happened at `at_ms`, the only clock that rules may use."""

    at_ms: Count


class ServerDeclared(Event):
    """An operator declares a server. The contents are compared, unless the generation marks a repeat."""

    server: Name
    generation: Count = 0
    expected_replicas: Expected = -1
    min_replicas: Count = 0
    max_replicas: Count = 0
    shared: bool = True


class ServerRemoved(Event):
    """An operator withdraws the declaration of a server."""

    server: Name
    generation: Count = 0


class ServerReplicaConnected(Event):
    """A server replica connected, for the first time or again. `available_memory` None: all of `memory`."""

    server: Name
    replica: Count
    capabilities: Texts = ()
    memory: Count = 0
    available_memory: Count | None = None
    shared: bool = True
    loaded_models: LoadedModels = ()
    inference_host: Text = ""
    http_port: Count = 0
    grpc_port: Count = 0


class ServerReplicaDisconnected(Event):
    """A server replica is lost, and with it all that it had loaded."""

    server: Name
    replica: Count
    reason: Text = ""


class ServerReplicaDraining(Event):
    """A server replica is about to leave and wants its models served elsewhere first."""

    server: Name
    replica: Count


class PolicyChanged(Event):
    """An operator replaces the policy."""

    retry_interval_ms: Count
    retry_limit: Count
    tombstone_ttl_ms: Count
    scale_down_stabilisation_ms: Count
    model_autoscaling: bool
    server_autoscaling: bool
    pack_servers: bool


class ModelLoadRequested(Event):
    """A user requests a model with this definition."""

    model: Name
    generation: Count = 0
    spec: SpecFields
    deployment: DeploymentFields = DeploymentFields()


class ModelUnloadRequested(Event):
    """A user deletes a model."""

    model: Name
    generation: Count = 0


class ReplicaReport(Event):
    """A report of a server replica about one model version on it."""

    model: Name
    version: Positive
    server: Name
    replica: Count


class ModelReplicaLoading(ReplicaReport):
    """The version is being loaded."""


class ModelReplicaUnloading(ReplicaReport):
    """The version is being unloaded."""


class ModelReplicaLoaded(ReplicaReport):
    """The version is loaded."""

    available_memory: Count


class ModelReplicaUnloaded(ReplicaReport):
    """The version is unloaded."""

    available_memory: Count


class ModelReplicaLoadFailed(ReplicaReport):
    """The version could not be loaded."""

    reason: Text = ""


class ModelReplicaUnloadFailed(ReplicaReport):
    """The version could not be unloaded."""

    reason: Text = ""


class ModelRouteApplied(Event):
    """The router has applied the model's routes of this revision."""

    model: Name
    route_revision: Count


class ModelRouteFailed(Event):
    """The router could not apply the model's routes of this revision."""

    model: Name
    route_revision: Count
    reason: Text = ""


class ModelScaleRequested(Event):
    """An autoscaler requests one replica more or less."""

    model: Name
    version: Positive
    direction: Direction


class PipelineLoadRequested(Event):
    """A user requests a pipeline with this definition."""

    pipeline: Name
    generation: Count = 0
    steps: Steps = ()
    output: OutputFields = OutputFields()
    allow_cycles: bool = False


class PipelineUnloadRequested(Event):
    """A user deletes a pipeline."""

    pipeline: Name
    generation: Count = 0


class ExperimentStartRequested(Event):
    """A user requests a split of traffic."""

    experiment: Name
    generation: Count = 0
    kind: Kind = "model"
    default: NameOrNone = ""
    candidates: Candidates = ()
    mirror: MirrorFields | None = None


class ExperimentStopRequested(Event):
    """A user stops a split of traffic."""

    experiment: Name
    generation: Count = 0


class ExperimentRouteApplied(Event):
    """The router has applied the experiment's routes of this revision."""

    experiment: Name
    route_revision: Count


class ExperimentRouteFailed(Event):
    """The router could not apply the experiment's routes of this revision."""

    experiment: Name
    route_revision: Count
    reason: Text = ""


class ResponderConnected(Event):
    """A responder connected."""

    role: Role
    responder: Name


class ResponderDisconnected(Event):
    """A responder is lost."""

    role: Role
    responder: Name


class PipelineReported(Event):
    """A responder answers the request with this sequence."""

    role: Role
    responder: Name
    pipeline: Name
    version: Positive
    sequence: Count
    success: bool
    reason: Text = ""


class ClockTicked(Event):
    """Time has passed."""


HIGH_LANE: Final = frozenset(
    {
        "ServerDeclared",
        "ServerRemoved",
        "ServerReplicaConnected",
        "ServerReplicaDisconnected",
        "ServerReplicaDraining",
        "PolicyChanged",
    }
)
"""The types of the high lane, all others are of the normal one; a test compares this with `topics.yaml`."""

EVENT_TYPES: Final[Mapping[str, type[Event]]] = MappingProxyType(
    {
        event.__name__: event
        for event in (
            *(ServerDeclared, ServerRemoved),
            *(ServerReplicaConnected, ServerReplicaDisconnected, ServerReplicaDraining),
            PolicyChanged,
            *(ModelLoadRequested, ModelUnloadRequested),
            *(ModelReplicaLoading, ModelReplicaUnloading, ModelReplicaLoaded, ModelReplicaUnloaded),
            *(ModelReplicaLoadFailed, ModelReplicaUnloadFailed),
            *(ModelRouteApplied, ModelRouteFailed),
            ModelScaleRequested,
            *(PipelineLoadRequested, PipelineUnloadRequested),
            *(ExperimentStartRequested, ExperimentStopRequested),
            *(ExperimentRouteApplied, ExperimentRouteFailed),
            *(ResponderConnected, ResponderDisconnected),
            PipelineReported,
            ClockTicked,
        )
    }
)

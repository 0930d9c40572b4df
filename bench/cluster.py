"""The cluster job: models are rolled out on servers and rolled out anew, and every server replica reports each step."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.job import START_MS, Event, Job
from processor.assembly.engine import Domain, cluster_domain
from processor.avro.catalogue import Catalogue
from processor.cluster.event_parsing import parse_event
from processor.cluster.events import Event as ClusterEvent
from processor.cluster.lifecycle import LOAD_REQUESTED, LOADING, UNLOAD_REQUESTED, UNLOADING
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.engine.inputs import TopicPartition

SERVERS = 50
REPLICAS_OF_SERVER = 4
REPLICAS_OF_MODEL = 2
MODEL_BYTES = 1 << 30
WAVE_MODELS = 250
"""So many models are rolled out at a time: their reports come mixed."""
HEADROOM = 2
"""The servers have room for so many times the models: a new version stands beside the old one for a while."""


def cluster_job(models: int) -> Job:
    """Return the job: servers connect, every model is rolled out, then once more with another version."""
    cluster = Cluster(models)
    for uri in ("first", "second"):
        cluster.roll_out_all(uri)
    return Job("cluster", tuple(cluster.told))


def loading_job(models: int) -> Job:
    """Return the job that only asks for models: the shortest way to a state with so many."""
    cluster = Cluster(models)
    for number in range(models):
        cluster.load(model_name(number), "first")
    return Job("cluster", tuple(cluster.told))


def model_name(number: int) -> str:
    """Return the name of a model."""
    return f"model-{number:06}"


class RefusedError(Exception):
    """The job has an event that the state machine refuses."""


class Cluster:
    """The cluster's side of the conversation: each event is reduced at once, so that what is reported next fits it.

    `told` are the events so far, `reduced` the same as the state machine takes them, `state` is what they led to.
    """

    def __init__(self, models: int) -> None:
        self.machine = ClusterMachine()
        self.state: Any = self.machine.empty()
        self.told: list[Event] = []
        self.reduced: list[ClusterEvent] = []
        self._models = models
        self._used: Counter[TopicPartition] = Counter()
        self._memory = HEADROOM * models * REPLICAS_OF_MODEL // (SERVERS * REPLICAS_OF_SERVER) * MODEL_BYTES
        self._memory = max(self._memory, HEADROOM * MODEL_BYTES)
        for server in range(SERVERS):
            for replica in range(REPLICAS_OF_SERVER):
                self._tell("ServerReplicaConnected", server=f"server-{server:02}", replica=replica, memory=self._memory)

    def roll_out_all(self, uri: str) -> None:
        """Bring every model to the version with this address, wave by wave."""
        for start in range(0, self._models, WAVE_MODELS):
            names = [model_name(number) for number in range(start, min(start + WAVE_MODELS, self._models))]
            self.roll_out(names, uri)

    def roll_out(self, names: Sequence[str], uri: str) -> None:
        """Ask for the models, and have servers and router answer until nothing is left to be done."""
        for name in names:
            self.load(name, uri)
        self._reports(names, LOAD_REQUESTED, "ModelReplicaLoading", 0)
        self._reports(names, LOADING, "ModelReplicaLoaded", MODEL_BYTES)
        self._route(names)
        self._route(names)  # what left the routes only when the new ones were applied
        self._reports(names, UNLOAD_REQUESTED, "ModelReplicaUnloading", 0)
        self._reports(names, UNLOADING, "ModelReplicaUnloaded", -MODEL_BYTES)

    def load(self, name: str, uri: str) -> None:
        """Ask for a model."""
        spec = {"uri": f"gs://models/{name}/{uri}", "memory": MODEL_BYTES, "requirements": [], "parameters": {}}
        self._tell("ModelLoadRequested", model=name, spec=spec, deployment={"replicas": REPLICAS_OF_MODEL})

    def _route(self, names: Sequence[str]) -> None:
        for name in names:
            model = self.state.models[name]
            if model.route_revision != model.route_applied_revision:
                self._tell("ModelRouteApplied", model=name, route_revision=model.route_revision)

    def _reports(self, names: Sequence[str], state: str, event_type: str, used_bytes: int) -> None:
        for name in names:
            for version in self.state.models[name].versions:
                for entry in version.replicas:
                    if entry.state == state:
                        place = (version.server, entry.index)
                        self._used[place] += used_bytes
                        free = {"available_memory": self._memory - self._used[place]} if used_bytes else {}
                        self._tell(
                            event_type,
                            model=name,
                            version=version.version,
                            server=version.server,
                            replica=entry.index,
                            **free,
                        )

    def _tell(self, event_type: str, **data: Any) -> None:
        event = parse_event(event_type, START_MS + len(self.told), data)
        result = self.machine.apply(self.machine.begin(self.state), event)
        if isinstance(result, self.machine.rejection):
            raise RefusedError(f"{event}: {result}")
        self.told.append((event_type, data))
        self.reduced.append(event)
        self.state = result


def catalogue(settings: Settings) -> Catalogue:
    """Return the processor's schemas."""
    return Catalogue.load(settings.schemas_dir)


def domain(schemas: Catalogue) -> Domain:
    """Return the cluster's state machine with its codec."""
    return cluster_domain(Settings(), schemas)

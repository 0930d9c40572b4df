"""Laws of sizes: whatever was accepted can be removed and announced, and where batches are cut does not matter."""

from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.cluster.machine import ENTITY_TYPES
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.sizes import size_limits
from processor.memory.sink import MemorySink
from tests.checker.memory_run import GIBIBYTE, POLICY, BoundedSink, MemoryRun
from tests.checker.verdict import assert_whole
from tests.engine.world import TOPICS, World
from tests.sizes.test_sizes import rejections

Line = tuple[str, dict[str, Any]]
KIBIBYTE = 1024
LIMITS = st.tuples(st.integers(4, 12), st.integers(2, 12))
"""The largest record and the largest stored value, in KiB."""
LOWERED = st.tuples(st.integers(2, 4), st.integers(2, 12))

texts = st.integers(4, 12).map(lambda power: "x" * (2**power))
models, servers, replicas = st.sampled_from(("m0", "m1")), st.sampled_from(("s0", "s1")), st.integers(0, 2)
places = st.fixed_dictionaries({"model": models, "version": st.integers(1, 3), "server": servers, "replica": replicas})


def specs(uri: str, requirements: int, server: str) -> dict[str, Any]:
    needed = ["r"] * requirements
    return {"uri": uri, "requirements": needed, "memory": 1, "instances": 1, "server": server, "parameters": {}}


loads = st.builds(
    lambda model, uri, count: (
        "ModelLoadRequested",
        {
            "model": model,
            "generation": 0,
            "spec": specs(uri, 0, ""),
            "deployment": {"replicas": count, "min_replicas": 0, "max_replicas": 0},
        },
    ),
    models,
    texts,
    st.integers(0, 3),
)
connections = st.builds(
    lambda server, replica, words: (
        "ServerReplicaConnected",
        {"server": server, "replica": replica, "capabilities": [words], "memory": GIBIBYTE},
    ),
    servers,
    replicas,
    texts,
)
losses = st.builds(
    lambda server, replica, reason: (
        "ServerReplicaDisconnected",
        {"server": server, "replica": replica, "reason": reason[:100]},
    ),
    servers,
    replicas,
    texts,
)
reports = st.one_of(
    places.map(lambda place: ("ModelReplicaLoading", place)),
    places.map(lambda place: ("ModelReplicaLoaded", {**place, "available_memory": GIBIBYTE})),
    places.map(lambda place: ("ModelReplicaUnloaded", {**place, "available_memory": GIBIBYTE})),
    st.builds(lambda place, reason: ("ModelReplicaLoadFailed", {**place, "reason": reason}), places, texts),
    st.builds(lambda place, reason: ("ModelReplicaUnloadFailed", {**place, "reason": reason}), places, texts),
    st.builds(
        lambda model, reason: ("ModelRouteFailed", {"model": model, "route_revision": 1, "reason": reason}),
        models,
        texts,
    ),
)
pipelines = st.builds(
    lambda words, model: (
        "PipelineLoadRequested",
        {"pipeline": "p", "generation": 0, "steps": [{"name": model, "tensor_map": {"a": words}}], "output": {}},
    ),
    texts,
    models,
)
responders = st.sampled_from(("a", "b")).map(
    lambda name: ("ResponderConnected", {"role": "dataflow_engine", "responder": name})
)
answers = st.builds(
    lambda name, version, sequence, reason: (
        "PipelineReported",
        {
            "role": "dataflow_engine",
            "responder": name,
            "pipeline": "p",
            "version": version,
            "sequence": sequence,
            "success": False,
            "reason": reason,
        },
    ),
    st.sampled_from(("a", "b")),
    st.integers(1, 2),
    st.integers(1, 3),
    texts,
)
experiments = models.map(
    lambda model: (
        "ExperimentStartRequested",
        {"experiment": "e", "generation": 0, "default": model, "candidates": [{"name": model, "weight": 1}]},
    )
)
removals: st.SearchStrategy[Line] = st.one_of(
    models.map(lambda name: ("ModelUnloadRequested", {"model": name, "generation": 0})),
    st.just(("PipelineUnloadRequested", {"pipeline": "p", "generation": 0})),
    st.just(("ExperimentStopRequested", {"experiment": "e", "generation": 0})),
    st.just(("ClockTicked", {})),
    losses,
)
lines = st.one_of(loads, loads, connections, reports, reports, pipelines, responders, answers, experiments, removals)


def tell(run: MemoryRun, told: list[Line]) -> None:
    for event, data in told:
        run.submit_json(event, data)
    run.process()


def run_under(limits: tuple[int, int], *, batch_events_max: int = 3) -> MemoryRun:
    run = MemoryRun(batch_events_max=batch_events_max)
    bound(run, limits)
    return run


def bound(run: MemoryRun, limits: tuple[int, int]) -> None:
    run.record_bytes_max, run.value_bytes_max = (kibibytes * KIBIBYTE for kibibytes in limits)


def every_removal(run: MemoryRun) -> list[Line]:
    """Return an event for each thing that can be taken away, and those that end it."""
    asked: list[Line] = []
    ended: list[Line] = []
    for key in sorted(run.artefacts().store.entities):
        kind, _, name = key.partition("/")
        entity = run.entity(key)
        if kind == "model":
            asked.append(("ModelUnloadRequested", {"model": name, "generation": 0}))
            ended += [
                ("ModelReplicaUnloaded", {"model": name, **place, "available_memory": 0}) for place in held(entity)
            ]
        elif kind == "pipeline":
            asked.append(("PipelineUnloadRequested", {"pipeline": name, "generation": 0}))
        elif kind == "experiment":
            asked.append(("ExperimentStopRequested", {"experiment": name, "generation": 0}))
        elif kind == "server":
            for replica in entity["replicas"]:
                place = {"server": name, "replica": replica["index"]}
                asked.append(("ServerReplicaDraining", place))
                ended.append(("ServerReplicaDisconnected", {**place, "reason": "lost"}))
        elif kind == "responder":
            role, _, responder = name.partition("/")
            ended.append(("ResponderDisconnected", {"role": role, "responder": responder}))
    return [*asked, *ended, ("PolicyChanged", {**POLICY, "tombstone_ttl_ms": 0}), ("ClockTicked", {})]


def held(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"version": version["version"], "server": version["server"], "replica": replica["index"]}
        for version in model["versions"]
        for replica in version["replicas"]
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, min_size=15, max_size=40), LIMITS, LOWERED)
def test_after_any_accepted_events_every_removal_is_accepted_and_announced(
    told: list[Line], limits: tuple[int, int], lowered: tuple[int, int]
) -> None:
    run = run_under(limits)
    tell(run, told)
    refused = len([code for _, code, _ in rejections(run) if code == "entity_too_large"])
    bound(run, min(limits, lowered))
    tell(run, every_removal(run))
    found = [rejection for rejection in rejections(run) if rejection[1] == "entity_too_large"]
    assert found[refused:] == []
    artefacts = run.artefacts()
    assert artefacts.dead_letters == ()
    left = {key.partition("/")[0] for key in artefacts.store.entities}
    assert left <= {"policy", "failure"}, sorted(artefacts.store.entities)
    assert_whole(artefacts, run.reference)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, min_size=15, max_size=40), LIMITS, st.integers(2, 12))
def test_where_batches_are_cut_does_not_matter_near_the_limits(
    told: list[Line], limits: tuple[int, int], batch_events_max: int
) -> None:
    ends = []
    for most in (1, batch_events_max, 100):
        run = run_under(limits, batch_events_max=most)
        tell(run, told)
        ends.append((rejections(run), dict(run.artefacts().store.entities)))
    assert ends[0] == ends[1] == ends[2]


class RestlessSink(BoundedSink):
    """Says something else whenever it is asked what may be published, never more than it takes."""

    asked = 0

    def record_bytes_max(self) -> int:
        self.asked += 1
        return self.bytes_max // (1 + self.asked % 3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, min_size=15, max_size=40), LIMITS)
def test_the_log_tells_the_limits_of_each_commit_however_often_they_change(
    told: list[Line], limits: tuple[int, int]
) -> None:
    run = run_under(limits)
    run.sink_type = RestlessSink
    run.record_bytes_max *= 2
    tell(run, told)
    artefacts = run.artefacts()
    assert artefacts.dead_letters == ()
    assert_whole(artefacts, run.reference)


class ShrinkingSink(MemorySink):
    """Takes half as much whenever it is asked."""

    bytes_max = 100_000

    def record_bytes_max(self) -> int:
        self.bytes_max //= 2
        return self.bytes_max


def test_what_is_carried_to_the_next_commit_brings_its_limits_along() -> None:
    world = World(batch_events_max=2)
    world.submit("DeviceReported", device="brief", reading=1)
    world.submit("DeviceRetired", device="brief")
    world.submit("DeviceReported", device="lasting", reading=1)
    world.run(world.parts(sink=ShrinkingSink(world.broker, TOPICS, 0, "app-0")))  # type: ignore[arg-type]
    (commit,) = world.commits()
    assert [(run.outcome, run.count) for run in commit.outcomes] == [("applied", 3)]
    limits = size_limits(record_bytes_max=50_000, value_bytes_max=0)
    assert (commit.entity_bytes_max, commit.record_bytes_max) == (limits.entity_bytes_max, 25_000)


@cache
def encoder() -> AvroEncoder:
    return AvroEncoder(Catalogue.load(PROJECT_DIRECTORY / "schemas"), ENTITY_TYPES)


def encoded(entity: Any) -> bytes:
    try:
        return encoder().encode("", entity)
    except OverflowError:  # a number of more than 64 bits, which the border lets nobody bring in
        reject()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.one_of(*[st.tuples(st.from_type(struct), st.from_type(struct)) for struct in ENTITY_TYPES.values()]))
def test_bounds_of_entities_are_not_below_their_sizes(pair: tuple[Any, Any]) -> None:
    old, new = pair
    assert type(new) in encoder()._bounded
    assert len(encoded(new)) <= encoder().size_bound("", new)
    assert len(encoded(new)) <= len(encoded(old)) + encoder().growth_bound("", old, new)

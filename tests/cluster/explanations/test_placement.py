from processor.cluster.explanations.placement import (
    FILTER_CODES,
    ReplicaVerdict,
    ServerVerdict,
    replica_verdicts,
    server_verdicts,
)
from tests.cluster.world import World


def _servers(world: World) -> dict[str, ServerVerdict]:
    latest = world.state.models["iris"].versions[-1]
    return {verdict.server: verdict for verdict in server_verdicts(world.state, latest)}


def _replicas(world: World) -> dict[tuple[str, int], ReplicaVerdict]:
    latest = world.state.models["iris"].versions[-1]
    return {(verdict.server, verdict.replica): verdict for verdict in replica_verdicts(world.state, latest)}


def test_each_filter_has_its_code_and_its_words() -> None:
    world = World()
    world.connect("s1")
    world.declare("s1", expected_replicas=0)
    world.declare("s2")
    world.connect("s3", shared=False)
    world.load()
    assert {name: (one.code, one.why) for name, one in _servers(world).items()} == {
        "s1": ("expects_none", FILTER_CODES["expects_none"]),
        "s2": ("no_replicas", FILTER_CODES["no_replicas"]),
        "s3": ("not_shared", FILTER_CODES["not_shared"]),
    }
    assert _replicas(world) == {}
    world.load(uri="two", server="s4")
    assert {one.code for one in _servers(world).values()} == {"pinned_elsewhere", "no_replicas"}


def test_a_replica_says_by_how_much_it_is_too_small_and_what_it_lacks() -> None:
    world = World()
    world.connect(memory=250, capabilities=["sklearn"])
    world.load("other", memory=100)
    world.load(memory=100, instances=2, requirements=["gpu", "sklearn"])
    verdict = _replicas(world)["s1", 0]
    assert (verdict.suitable, verdict.missing, verdict.required) == (False, ("gpu",), 200)
    assert (verdict.available_memory, verdict.reserved, verdict.free) == (250, 100, 150)
    assert verdict.why == "lacks gpu; needs 200 bytes, 150 are free"


def test_a_replica_that_drains_or_has_it_already_says_so() -> None:
    world = World()
    world.connect(replica=0)
    world.connect(replica=1)
    world.serve()
    world.drain(replica=1)
    assert {place: one.why for place, one in _replicas(world).items()} == {
        ("s1", 0): "has it already (Available)",
        ("s1", 1): "is draining",
    }


def test_a_server_counts_its_suitable_replicas() -> None:
    world = World()
    world.connect(replica=0)
    world.connect(replica=1, memory=10)
    world.load(replicas=2)
    assert (_servers(world)["s1"].code, _servers(world)["s1"].why) == (
        "insufficient",
        "1 of 2 connected replicas suit, 2 wanted",
    )
    world.load(replicas=2, min_replicas=1)
    assert (_servers(world)["s1"].code, _servers(world)["s1"].suitable) == ("fits_partly", 1)
    world.load()
    assert _servers(world)["s1"].code == "fits"

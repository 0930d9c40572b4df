import pytest

from processor.cluster.lifecycle import REPORTS
from tests.cluster.world import Json, World

READY = {
    "LoadRequested": (),
    "Loading": ("Loading",),
    "Loaded": ("Loaded",),
    "Available": ("Loaded", "routed"),
    "LoadFailed": ("LoadFailed",),
    "UnrouteRequested": ("Loaded", "routed", "unload"),
    "UnloadRequested": ("unload",),
    "Unloading": ("unload", "Unloading"),
    "Unloaded": ("unload", "Unloaded"),
    "UnloadFailed": ("unload", "UnloadFailed"),
    "Draining": ("Loaded", "drain"),
    "LoadedUnavailable": ("Loaded", "unroutable"),
}


def tell(world: World, verb: str) -> str:
    if verb in {"Loaded", "Unloaded"}:
        return world.report(verb, available_memory=77)
    if verb.endswith("Failed"):
        return world.report(verb, reason="why")
    if verb in {"Loading", "Unloading"}:
        return world.report(verb)
    said: str = getattr(world, verb)()
    return said


@pytest.mark.parametrize("state", READY)
@pytest.mark.parametrize("report", REPORTS)
def test_a_report_does_what_the_table_says(state: str, report: str) -> None:
    world, rule = World(), REPORTS[report]
    world.connect()
    world.load()
    for verb in READY[state]:
        tell(world, verb)
    assert world.states() == {"0": state}
    before = world.state
    outcome = tell(world, report.removeprefix("ModelReplica"))
    if state in rule.sources:
        reason = "why" if rule.reasoned else ""
        assert outcome == "applied"
        assert world.latest()["replicas"]["0"] == {"state": rule.target, "reason": reason, "since_ms": world.at_ms}
        assert (world.server()["replicas"]["0"]["available_memory"] == 77) == rule.measured
    else:
        assert outcome == ("unchanged" if state in rule.repeats else "unexpected_report")
        assert world.state is before


def test_a_report_needs_model_version_server_and_index() -> None:
    world = World()
    world.connect()
    world.connect("s2")
    world.load()
    assert world.report("Loading", version=2) == "unknown_target"
    assert world.report("Loading", server="s2") == "unknown_target"
    assert world.report("Loading", replica=1) == "unknown_target"
    where: Json = {"model": "bee", "version": 1, "server": "s1", "replica": 0}
    assert world.tell("ModelReplicaLoading", **where) == "unknown_target"


def test_an_orphan_that_is_gone_makes_room() -> None:
    world = World()
    world.connect(memory=100, available_memory=0, loaded_models=[{"model": "ghost", "version": 3}])
    world.load()
    assert world.latest()["status"] == "ScheduleFailed"
    gone: Json = {"model": "ghost", "version": 3, "server": "s1", "replica": 0}
    assert world.tell("ModelReplicaLoading", **gone) == "unknown_target"
    assert world.tell("ModelReplicaUnloaded", **gone, available_memory=100) == "applied"
    assert world.states() == {"0": "LoadRequested"}
    assert world.tell("ModelReplicaUnloaded", **gone, available_memory=100) == "unknown_target"

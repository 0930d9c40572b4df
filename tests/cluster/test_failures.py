from typing import Any

from tests.cluster.world import World


def failure(world: World) -> dict[str, Any]:
    entry = world.failure()
    assert entry is not None
    return entry


def test_a_failure_that_changes_its_nature_keeps_its_age_and_its_attempts() -> None:
    world = World()
    world.load()
    world.tick(world.at_ms + 60_000)
    world.connect()
    world.report("LoadFailed", reason="no artifact")
    assert failure(world) == {
        "code": "load_failed",
        "message": "no artifact",
        "since_ms": 1_000,
        "attempts": 1,
        "next_retry_ms": 121_000,
    }


def test_the_message_says_what_is_wrong_now() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica)
    world.load(replicas=2)
    world.report("LoadFailed", replica=0, reason="first")
    world.report("LoadFailed", replica=1, reason="second")
    assert (failure(world)["message"], failure(world)["since_ms"]) == ("second", 4_000)


def test_a_failure_is_remembered_until_the_thing_is_well() -> None:
    world = World()
    world.load()
    world.connect()
    assert world.latest()["status"] == "Progressing"
    assert failure(world)["code"] == "no_matching_server"
    world.loaded()
    world.routed()
    assert world.failure() is None


def test_an_old_version_that_could_not_be_unloaded_is_a_failure_of_its_model() -> None:
    world = World()
    world.connect()
    world.load()
    world.load(uri="two")
    world.report("UnloadFailed", version=1, reason="busy")
    assert (failure(world)["code"], failure(world)["message"]) == ("unload_failed", "busy")


def test_a_failed_load_counts_before_a_failed_route() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica)
    world.load(replicas=2)
    world.loaded(replica=0)
    world.unroutable(reason="no upstream")
    assert failure(world)["code"] == "route_failed"
    world.report("LoadFailed", replica=1, reason="no artifact")
    assert (failure(world)["code"], failure(world)["message"]) == ("load_failed", "no artifact")


def test_no_time_is_beyond_the_largest_number() -> None:
    world = World()
    world.policy(retry_interval_ms=2**63 - 1)
    world.load()
    assert failure(world)["next_retry_ms"] == 2**63 - 1
    assert world.tick(2**63 - 1) == "applied"
    assert (failure(world)["next_retry_ms"], failure(world)["attempts"]) == (2**63 - 1, 1)


def test_a_connected_replica_gives_a_failed_load_another_try_and_counts_it() -> None:
    world = World()
    world.connect()
    world.load()
    world.report("LoadFailed")
    world.connect("s2")
    assert world.latest()["status"] == "Progressing"
    assert failure(world)["attempts"] == 1


def test_a_failed_load_is_not_tried_beyond_the_limit_when_a_replica_connects() -> None:
    world = World()
    world.policy(retry_limit=0)
    world.connect()
    world.load()
    world.report("LoadFailed")
    world.connect("s2")
    assert world.latest()["status"] == "Failed"
    assert failure(world)["attempts"] == 0


def test_a_connected_replica_that_does_not_help_leaves_no_trace() -> None:
    world = World()
    world.connect(memory=100)
    world.connect(replica=1, memory=100)
    world.load(replicas=2)
    world.report("LoadFailed", replica=0)
    before = world.model()
    world.connect("s2", memory=10)
    assert world.model() != before
    assert failure(world)["attempts"] == 1
    world.report("LoadFailed", replica=0)
    world.disconnect(replica=0)
    assert world.latest()["status"] == "ScheduleFailed"
    before, entry = world.model(), failure(world)
    world.connect("s3", memory=10)
    assert (world.model(), failure(world)) == (before, entry)

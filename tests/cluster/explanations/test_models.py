from processor.cluster.explanations.models import STATUS_RULES
from processor.cluster.lifecycle import LIVE_STATUS, RETIRING_STATUS
from tests.cluster.world import World


def test_every_row_of_the_status_rules_has_words() -> None:
    assert set(STATUS_RULES) == {status for rules in (LIVE_STATUS, RETIRING_STATUS) for status, _ in rules}


def test_a_model_without_room_says_where_it_looked_and_when_it_looks_again() -> None:
    world = World()
    world.connect(memory=50)
    world.load()
    told = world.explained("model", "iris")
    assert (told["status"], told["rule"]) == ("ScheduleFailed", "no server takes version 1: insufficient_replicas")
    assert told["sections"]["servers"][0]["at_last_placement"] == "insufficient"
    assert told["sections"]["server replicas"][0]["why"] == "needs 100 bytes, 50 are free"
    assert told["awaits"] == [
        "room for version 1: 0 of 1 replicas have a place (see servers)",
        "the clock, for retry 1 of 10: the latest version is placed again",
    ]
    assert told["facts"]["failure_next_retry_ms"] == world.at_ms + 60_000


def test_a_rollout_names_who_has_to_do_what() -> None:
    world = World()
    world.connect()
    world.load()
    told = world.explained("model", "iris")
    assert told["rule"] == ("it is not rolled out yet: 0 available, 1 wanted, fewer will not do; nothing has failed")
    assert told["awaits"] == ["server s1 replica 0, to load version 1"]
    world.report("Loading")
    assert world.explained("model", "iris")["awaits"] == ["server s1 replica 0, to finish loading version 1"]
    world.loaded()
    assert world.explained("model", "iris")["awaits"] == [
        "the router, to apply revision 1 of the routes; the last that it applied is 0"
    ]
    world.routed()
    told = world.explained("model", "iris")
    assert (told["rule"], told["awaits"]) == ("it is rolled out: 1 available, 1 wanted", [])


def test_the_older_version_is_told_as_the_fallback_until_the_new_one_is_rolled_out() -> None:
    world = World()
    world.connect()
    world.serve()
    assert world.explained("model", "iris")["facts"]["fallback_because"] == "there is no older version"
    world.load(uri="two")
    told = world.explained("model", "iris")
    assert told["facts"]["fallback_because"] == "version 1 serves until version 2 is rolled out"
    assert (told["facts"]["version"], told["facts"]["available"]) == (2, 0), "the facts are those of the latest"
    assert [row["part"] for row in told["sections"]["versions"]] == ["fallback", "latest"]
    world.loaded()
    world.routed()
    told = world.explained("model", "iris")
    assert told["facts"]["fallback_because"] == "the latest version is rolled out"
    assert [row["part"] for row in told["sections"]["versions"]] == ["retiring", "latest"]


def test_a_replica_that_failed_to_load_waits_for_the_retry_and_not_for_room() -> None:
    world = World()
    world.connect()
    world.load()
    world.report("LoadFailed", reason="no such file")
    told = world.explained("model", "iris")
    assert told["rule"] == "replicas that should serve cannot: 1 failed to load, 0 are loaded and could not be routed"
    assert (told["facts"]["reason"], told["facts"]["failure_message"]) == ("no such file", "no such file")
    assert told["awaits"] == [
        "the clock, for retry 1 of 10: failed replicas are dropped and the latest version is placed again"
    ]


def test_after_the_last_retry_only_a_request_helps() -> None:
    world = World()
    world.policy(retry_limit=0)
    world.load()
    assert world.explained("model", "iris")["awaits"][-1] == (
        "no retry comes any more (0 made, the policy allows 0): only a new request does"
    )
    assert world.explained("model", "iris")["facts"]["failure_next_retry_ms"] is None


def test_a_lack_of_room_that_was_passed_on_names_the_operator() -> None:
    world = World()
    world.connect()
    world.declare(expected_replicas=1, max_replicas=3)
    world.load(replicas=2, min_replicas=1)
    told = world.explained("model", "iris")
    assert told["awaits"][:2] == [
        "room for version 1: 1 of 2 replicas have a place (see servers)",
        "an operator, to give server s1 2 replicas; 1 are declared",
    ]
    assert told["facts"]["rolled_out_because"] == "0 available, 2 wanted, 1 will do"


def test_an_unload_is_followed_to_its_end() -> None:
    world = World()
    world.connect()
    world.serve()
    world.unload()
    told = world.explained("model", "iris")
    assert told["rule"] == "it is not wanted any more, and some replicas are not unloaded yet"
    assert told["awaits"] == ["the router, to apply revision 2 of the routes; the last that it applied is 1"]
    assert "servers" not in told["sections"]
    world.routed()
    assert world.explained("model", "iris")["awaits"] == ["server s1 replica 0, to unload version 1"]
    world.report("UnloadFailed", reason="busy")
    told = world.explained("model", "iris")
    assert (told["status"], told["rule"]) == (
        "TerminateFailed",
        "it is not wanted any more, and 1 replicas could not be unloaded",
    )
    world.unload()
    world.unloaded()
    told = world.explained("model", "iris")
    assert (told["status"], told["awaits"]) == ("Terminated", ["the clock, to forget it"])
    deleted_ms = world.model()["deleted_ms"]
    assert told["facts"]["forgotten_ms"] == deleted_ms + 86_400_000

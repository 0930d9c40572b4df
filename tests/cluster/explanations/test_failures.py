from processor.cluster.explanations.failures import RETRIED
from processor.cluster.reducers.clock import RETRIES
from tests.cluster.world import World


def test_every_retry_has_words() -> None:
    assert set(RETRIED) == set(RETRIES)


def test_a_failure_whose_cause_stands_says_when_it_is_tried_again() -> None:
    world = World()
    world.load()
    told = world.explained("failure", "model/iris")
    assert (told["status"], told["rule"]) == ("no_matching_server", "what was wrong with model iris still is")
    assert (told["facts"]["cause_stands"], told["facts"]["attempts"]) == (True, 0)
    assert told["facts"]["next_retry_ms"] == world.at_ms + 60_000
    assert told["awaits"] == ["the clock, for retry 1 of 10: the latest version is placed again"]


def test_a_failure_that_is_being_made_good_has_nothing_to_try() -> None:
    world = World()
    world.load()
    world.connect()
    told = world.explained("failure", "model/iris")
    assert told["rule"].startswith("nothing is wrong with model iris at the moment")
    assert (told["facts"]["next_retry_ms"], told["awaits"]) == (None, [])

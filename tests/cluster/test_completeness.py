"""Nothing is forgotten: each event has its rule, each report an answer in each state."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from processor.cluster.events import EVENT_TYPES
from processor.cluster.generator import RULES
from processor.cluster.lifecycle import REPLICA_STATES, REPORTS
from tests.cluster.world import World

# How an entry gets into each state.
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
# What each report does in each state, once more and by hand: "=" the same again, "-" refused, else the state after.
MATRIX = """
                    Loading   Loaded   LoadFailed   Unloading   Unloaded   UnloadFailed
LoadRequested       Loading   Loaded   LoadFailed   -           -          -
Loading             =         Loaded   LoadFailed   -           -          -
Loaded              -         =        -            -           -          -
Available           -         =        -            -           -          -
LoadedUnavailable   -         =        -            -           -          -
Draining            -         =        -            -           -          -
LoadFailed          -         -        =            -           -          -
UnrouteRequested    -         -        -            -           -          -
UnloadRequested     -         -        -            Unloading   Unloaded   UnloadFailed
Unloading           -         -        -            =           Unloaded   UnloadFailed
Unloaded            -         -        -            -           =          -
UnloadFailed        -         -        -            -           -          =
"""


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield state, report and what is to come of them."""
    head, *rows = MATRIX.strip().splitlines()
    for row in rows:
        state, *answers = row.split()
        yield from ((state, report, answer) for report, answer in zip(head.split(), answers, strict=True))


def in_state(state: str) -> World:
    world = World()
    world.connect()
    world.load()
    for verb in READY[state]:
        tell(world, verb)
    assert world.states() == {"0": state}
    return world


def tell(world: World, verb: str) -> str:
    if verb in {"Loaded", "Unloaded"}:
        return world.report(verb, available_memory=77)
    if verb.endswith("Failed"):
        return world.report(verb, reason="why")
    if verb in {"Loading", "Unloading"}:
        return world.report(verb)
    said: str = getattr(world, verb)()
    return said


def test_each_event_has_a_rule() -> None:
    assert set(RULES) == set(EVENT_TYPES.values())
    assert all(name == event.__name__ for name, event in EVENT_TYPES.items())


@pytest.mark.parametrize("event", RULES, ids=lambda event: str(event.__name__))
def test_a_rule_takes_its_event_and_no_other(event: type) -> None:
    taken = get_type_hints(RULES[event])["event"]
    assert taken is (Any if event.__name__ in REPORTS else event)


def test_each_pair_of_state_and_report_is_thought_of() -> None:
    known = {(state, f"ModelReplica{report}"): answer for state, report, answer in pairs()}
    assert known.keys() == {(state, report) for state in REPLICA_STATES for report in REPORTS}
    assert set(READY) == set(REPLICA_STATES)


def test_the_table_says_the_same() -> None:
    for state, report, answer in pairs():
        rule = REPORTS[f"ModelReplica{report}"]
        stated = rule.target if state in rule.sources else "=" if state in rule.repeats else "-"
        assert stated == answer, (state, report)


@pytest.mark.parametrize(("state", "report", "answer"), list(pairs()))
def test_a_report_in_a_state_does_this(state: str, report: str, answer: str) -> None:
    world = in_state(state)
    before = world.state
    outcome = tell(world, report)
    assert outcome == {"=": "unchanged", "-": "unexpected_report"}.get(answer, "applied")
    assert world.states() == {"0": state if answer in "=-" else answer}
    assert (world.state is before) == (answer in "=-")


@pytest.mark.parametrize("state", REPLICA_STATES)
def test_a_lost_entry_goes_where_it_is_wanted_and_is_unloaded_where_it_is_not(state: str) -> None:
    world = in_state(state)
    world.disconnect()
    assert world.states() == ({"0": "Unloaded"} if "unload" in READY[state] else {})

"""The laws that hold for every state and every event."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.cluster import generator
from processor.cluster.document import from_document, to_document
from processor.cluster.draft import Draft
from processor.cluster.event_parsing import InvalidEvent, parse_event
from processor.cluster.events import EVENT_TYPES, Event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.simulation import simulate
from processor.cluster.state import State
from tests.cluster.hash_seeds import outputs
from tests.cluster.scenarios import SERVERS, events_of, line_of, told

MACHINE = ClusterMachine()
LENGTH = 60
SEEDS = st.integers(0, 2**32)
LAW = settings(max_examples=40, deadline=None)
WORDS = st.sampled_from([*SERVERS, "ant", "bee", "flow", "duel", "e0", "model", "up", "A b", ""])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 2**63 - 1, 2**63])
FLAGS = st.booleans()
VALUES = st.recursive(
    st.none() | FLAGS | NUMBERS | WORDS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


def after(events: Iterable[Event], state: State | None = None) -> tuple[State, list[tuple[int, Rejected]]]:
    state, rejected = state if state is not None else MACHINE.empty(), []
    for place, event in enumerate(events):
        outcome = MACHINE.apply(state, event)
        if isinstance(outcome, Rejected):
            rejected.append((place, outcome))
        else:
            state = outcome
    return state, rejected


def entities(state: State) -> dict[str, Any]:
    return dict(MACHINE.entities(state))


@LAW
@given(SEEDS)
def test_the_same_events_give_an_equal_state_and_equal_rejections(seed: int) -> None:
    events = events_of(seed, LENGTH)
    assert after(events) == after(events)


def test_the_hash_seed_does_not_matter() -> None:
    script = (
        "import json; from tests.cluster.scenarios import events_of, line_of; "
        "from processor.cluster.simulation import simulate; "
        "print([json.dumps(simulate(map(line_of, events_of(seed, 80)), batch_events=7)) for seed in range(6)])"
    )
    (output,) = outputs(script, "0", "4711")
    assert len(output) > 1000


@LAW
@given(SEEDS)
def test_what_changed_nothing_returns_the_very_same_state_and_anything_else_an_unequal_one(seed: int) -> None:
    for before, _, outcome in told(seed, LENGTH):
        if not isinstance(outcome, Rejected):
            assert (outcome is before) == (outcome == before)


@LAW
@given(SEEDS)
def test_unchanged_entities_keep_their_identity(seed: int) -> None:
    for before, _, outcome in told(seed, LENGTH):
        if not isinstance(outcome, Rejected):
            new = entities(outcome)
            for key, entity in entities(before).items():
                assert (new.get(key) is entity) == (new.get(key) == entity)


@LAW
@given(SEEDS)
def test_base_and_diff_give_the_state_after(seed: int) -> None:
    before, _ = after(events_of(seed, LENGTH))
    state, _ = after(events_of(seed + 1, LENGTH), before)
    changed = entities(before)
    for change in MACHINE.diff(before, state):
        assert changed.get(change.key) == change.before
        assert change.op == ("create" if change.before is None else "delete" if change.after is None else "update")
        changed[change.key] = change.after
    assert {key: entity for key, entity in changed.items() if entity is not None} == entities(state)


@LAW
@given(SEEDS, st.integers(0, LENGTH))
def test_the_diff_of_a_descendant_equals_the_diff_of_strangers(seed: int, cut: int) -> None:
    events = events_of(seed, LENGTH)
    before = MACHINE.begin(after(events[:cut])[0])
    middle, _ = after(events[cut : cut + 10], before)
    state, _ = after(events[cut + 10 :], middle)
    strangers = [MACHINE.load(MACHINE.entities(one)) for one in (before, middle, state)]
    assert MACHINE.diff(before, state) == MACHINE.diff(strangers[0], strangers[2])
    assert MACHINE.diff(middle, state) == MACHINE.diff(strangers[1], strangers[2])
    assert MACHINE.diff(state, middle) == MACHINE.diff(strangers[2], strangers[1])
    assert MACHINE.diff(state, state) == ()


@LAW
@given(SEEDS, st.lists(st.integers(1, 9), min_size=1))
def test_batches_do_not_matter_to_state_and_rejections(seed: int, sizes: list[int]) -> None:
    events = events_of(seed, LENGTH)
    state, rejected, place = MACHINE.empty(), [], 0
    while place < len(events):
        size = sizes[place % len(sizes)]
        state, refusals = after(events[place : place + size], MACHINE.begin(state))
        rejected += [(place + offset, refusal) for offset, refusal in refusals]
        place += size
    assert (state, rejected) == after(events)


@LAW
@given(SEEDS)
def test_the_input_is_not_mutated(seed: int) -> None:
    kept = [(before, msgspec.json.encode(list(MACHINE.entities(before)))) for before, _, _ in told(seed, LENGTH)]
    assert all(msgspec.json.encode(list(MACHINE.entities(before))) == was for before, was in kept)


@LAW
@given(SEEDS)
def test_indexes_equal_their_recomputation_from_the_tables(seed: int) -> None:
    for _, _, outcome in told(seed, LENGTH):
        if not isinstance(outcome, Rejected):
            assert outcome.indexes == MACHINE.load(MACHINE.entities(outcome)).indexes


@LAW
@given(SEEDS)
def test_deriving_everything_once_more_changes_nothing(seed: int) -> None:
    for _, event, outcome in told(seed, LENGTH):
        if not isinstance(outcome, Rejected):
            assert settled_again(outcome, event.at_ms + 1) is outcome


def settled_again(state: State, at_ms: int) -> State:
    draft = Draft(state, at_ms)
    for name in sorted(state.models):
        draft.put_model(state.models[name])
    for name in sorted(state.servers):
        draft.put_server(state.servers[name])
        draft.drain_checks |= {(name, replica.index) for replica in state.servers[name].replicas}
    draft.pipelines.update(state.pipelines.items())
    draft.experiments.update(state.experiments.items())
    return generator.settle(draft)


@LAW
@given(SEEDS, SEEDS)
def test_a_state_loaded_in_any_order_is_the_same_and_goes_on_the_same(seed: int, order: int) -> None:
    state, _ = after(events_of(seed, LENGTH))
    shuffled = list(MACHINE.entities(state))
    assert [key for key, _ in shuffled] == sorted(key for key, _ in shuffled)
    Random(order).shuffle(shuffled)
    loaded = MACHINE.load(shuffled)
    assert loaded == state
    events = events_of(seed + 1, LENGTH)
    assert after(events, loaded) == after(events, state)
    assert MACHINE.due_ms(loaded) == MACHINE.due_ms(state)


@LAW
@given(SEEDS)
def test_a_document_gives_its_state_back(seed: int) -> None:
    state, _ = after(events_of(seed, LENGTH))
    document = json.loads(json.dumps(to_document(state)))
    assert from_document(document) == state
    assert to_document(from_document(document)) == to_document(state)


@LAW
@given(SEEDS, st.integers(1, 20))
def test_a_simulation_that_is_cut_and_goes_on_ends_the_same(seed: int, cut: int) -> None:
    lines = [line_of(event) for event in events_of(seed, LENGTH)]
    whole = simulate(lines, batch_events=3)
    first = simulate(lines[:cut], batch_events=5)
    second = simulate(lines[cut:], state=from_document(first["state"]))
    assert second["state"] == whole["state"]
    rejected = [*first["rejected"], *[{**entry, "index": entry["index"] + cut} for entry in second["rejected"]]]
    assert rejected == whole["rejected"]


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.data())
def test_any_event_that_the_border_lets_in_has_an_outcome(seed: int, data: st.DataObject) -> None:
    state, _ = after(events_of(seed, 30))
    name = data.draw(st.sampled_from(sorted(EVENT_TYPES)))
    fields = {field: data.draw(VALUES) for field in EVENT_TYPES[name].model_fields if field != "at_ms"}
    try:
        event = parse_event(name, data.draw(st.integers(0, 2**63 - 1)), fields)
    except InvalidEvent:
        return
    outcome = MACHINE.apply(state, event)
    assert isinstance(outcome, State) or (outcome.code and outcome.message)


@LAW
@given(SEEDS)
def test_the_clock_does_something_exactly_when_it_is_due(seed: int) -> None:
    state, _ = after(events_of(seed, LENGTH))
    due = MACHINE.due_ms(state)
    if due is None:
        assert tick(state, 2**50) is state
    else:
        assert due == 0 or tick(state, due - 1) is state
        assert tick(state, due) is not state


def tick(state: State, at_ms: int) -> State | Rejected:
    return MACHINE.apply(state, parse_event("ClockTicked", at_ms, {}))

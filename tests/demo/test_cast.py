"""The play against the real state machine, in virtual time: what is announced is heard, what is said is reduced."""

from collections import Counter, defaultdict
from random import Random
from typing import Any

import msgspec
import pytest

from processor.cluster.document import to_document
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.demo.acts import ACTS, Acts
from processor.demo.cast import Cast
from processor.demo.notices import Event, Line, Notice

STEP_MS = 20
START_MS = 1_000_000


class _Play:
    """A closed loop without broker and store; counts what happens."""

    def __init__(self, seed: int) -> None:
        self.machine = ClusterMachine()
        self.state = self.machine.empty()
        self.random = Random(seed)
        self.now_ms = START_MS
        self.transitions: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.acts = Acts(ACTS)
        self.said: list[str] = []
        self.routes: defaultdict[str, list[Any]] = defaultdict(list)
        self.commits = 0
        self.cast, lines = Cast.enter(self.now_ms)
        self._reduce(lines)

    def run(self, duration_ms: int) -> None:
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self.now_ms += STEP_MS
            self.cast, lines = self.cast.act(self.now_ms, self.random)
            self._reduce(lines)
            due_ms = self.machine.due_ms(self.state)
            if due_ms is not None and due_ms <= self.now_ms:
                self._reduce([Event("ClockTicked", {})])

    def run_until(self, text: str) -> None:
        end_ms = self.now_ms + 60_000
        while not any(text in line for line in self.said):
            assert self.now_ms < end_ms, f"{text!r} is never said"
            self.run(STEP_MS)

    def models_on(self, server: str) -> set[str]:
        models = to_document(self.state)["models"].items()
        hosts = ((name, version) for name, model in models for version in model["versions"])
        return {name for name, version in hosts if version["server"] == server and version["replicas"]}

    def _reduce(self, lines: list[Line]) -> None:
        waiting = list(lines)
        while waiting:
            before = self.machine.begin(self.state)
            self.state = before
            for line in waiting:
                self._apply(line)
            waiting = self._announce(before)

    def _apply(self, line: Line) -> None:
        if not isinstance(line, Event):
            return
        try:
            event = parse_json_event(line.type, self.now_ms, dict(line.data))
        except InvalidEvent:
            self.rejected["invalid_event"] += 1
            return
        after = self.machine.apply(self.state, event)
        if isinstance(after, Rejected):
            self.rejected[after.code] += 1
        else:
            self.state = after

    def _announce(self, before: Any) -> list[Line]:
        lines: list[Line] = []
        self.commits += 1
        self.acts, said = self.acts.after(self.machine.diff(before, self.state), self.commits)
        self.said += said
        for change in self.machine.diff(before, self.state):
            after = None if change.after is None else msgspec.to_builtins(change.after)
            facts = [msgspec.to_builtins(transition) for transition in change.transitions]
            self.transitions.update(one["type"] for one in facts)
            self.routes[change.name] += [one["routes"] for one in facts if one["type"] == "ModelRoutesChanged"]
            transitions = tuple({name: value for name, value in one.items() if value is not None} for one in facts)
            notice = Notice(change.kind, change.name, after, transitions)
            self.cast, answers = self.cast.hear(notice, self.now_ms, self.random)
            lines += answers
        return lines


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_act_comes_about_in_half_a_minute_whatever_chance_does(seed: int) -> None:
    play = _Play(seed)
    play.run(25_000)
    assert {title: seq is not None for title, seq in play.acts.document().items()} == {act.title: True for act in ACTS}


def test_the_drained_server_held_models_which_then_run_elsewhere() -> None:
    play = _Play(seed=1)
    play.run_until("its replicas are to be emptied")
    moving = play.models_on("batch")
    assert moving
    play.run_until("it may leave")
    elsewhere = set.union(*(play.models_on(server) for server in ("cpu", "edge", "lab")))
    assert moving <= elsewhere | set(play.cast.operator.unloaded)


def test_the_model_whose_rollout_fails_is_served_all_the_while() -> None:
    play = _Play(seed=1)
    play.run_until("the new build fails")
    routed = [bool(routes) for routes in play.routes["fraud"]]
    before = len(routed)
    play.run_until("rolled back")
    assert before
    assert all([bool(routes) for routes in play.routes["fraud"]][before - 1 :])
    fraud = to_document(play.state)["models"]["fraud"]["versions"]
    assert fraud[-1]["version"] > 2
    assert fraud[-1]["spec"]["uri"] == "s3://models/fraud/1"


@pytest.fixture(scope="module")
def play() -> _Play:
    play = _Play(seed=3)
    play.run(60_000)
    return play


def test_a_minute_of_it_shows_what_a_cluster_does(play: _Play) -> None:
    seen = set(play.transitions)
    assert {
        "ReplicaLoadRequested",
        "ReplicaUnloadRequested",
        "ModelRoutesChanged",
        "ModelAvailable",
        "ModelFailed",
        "ModelScheduleFailed",
        "ModelTerminated",
        "ServerReplicaDrained",
        "ServerScaleRequested",
        "PipelineReady",
        "ExperimentActive",
        "FailureAdded",
        "FailureRemoved",
        "ModelRemoved",
        "PolicyChanged",
    } <= seen


def test_bad_input_is_seen_and_stays_an_exception(play: _Play) -> None:
    assert {"invalid_event", "stale_generation"} <= set(play.rejected)
    assert "unknown_target" not in play.rejected or play.rejected["unknown_target"] < 20
    assert play.rejected.total() < 60


def test_what_serves_at_the_end_was_asked_for(play: _Play) -> None:
    models = to_document(play.state)["models"]
    wanted = set(play.cast.operator.loaded)
    assert wanted == {name for name, model in models.items() if not model["deleted"]}


def test_agents_hold_no_more_than_they_have(play: _Play) -> None:
    for agent in play.cast.fleet.agents.values():
        assert sum(agent.loaded.values()) <= agent.memory


def test_the_same_seed_gives_the_same_state() -> None:
    states = []
    for _ in range(2):
        play = _Play(seed=7)
        play.run(10_000)
        states.append(to_document(play.state))
    assert states[0] == states[1]

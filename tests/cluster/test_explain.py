import json

import pytest

from processor.cluster.draft import Draft
from processor.cluster.explain import explain, to_json
from processor.cluster.explanations import experiments, models, pipelines
from processor.cluster.explanations.placement import FITS, FITS_PARTLY, server_verdicts
from processor.cluster.machine import ClusterMachine
from processor.cluster.placement import choose
from processor.cluster.state import KINDS, State
from tests.cluster.scenarios import told
from tests.cluster.world import World

STORIES = [(seed, 120) for seed in range(12)]
UNDER_WAY = {"Progressing", "ScheduleFailed", "Terminating", "Creating", "ModelsUnavailable", "Pending"}


def _states(seed: int, length: int) -> list[State]:
    return [before for before, _, _ in told(seed, length)]


@pytest.mark.parametrize(("seed", "length"), STORIES)
def test_everything_that_there_is_can_be_explained(seed: int, length: int) -> None:
    for state in _states(seed, length):
        for key, entity in ClusterMachine().entities(state):
            kind, _, name = key.partition("/")
            explanation = explain(state, kind, name)
            assert explanation is not None
            assert explanation.rule
            assert "{" not in explanation.rule
            assert (explanation.kind, explanation.name) == (kind, name)
            assert json.loads(json.dumps(to_json(explanation))) == to_json(explanation)
            if kind in {"model", "pipeline"}:
                assert explanation.status == entity.versions[-1].status
            if explanation.status in UNDER_WAY:
                assert explanation.awaits, explanation
            for section in explanation.sections:
                assert {tuple(row) for row in section.rows} == {tuple(section.rows[0])} if section.rows else True


def test_the_stories_come_by_every_status_that_is_explained() -> None:
    seen = set()
    for seed, length in STORIES:
        for state in _states(seed, length):
            seen |= {version.status for model in state.models.values() for version in model.versions}
            seen |= {version.status for pipeline in state.pipelines.values() for version in pipeline.versions}
            seen |= {experiment.status for experiment in state.experiments.values()}
    words = {*models.STATUS_RULES, *pipelines.STATUS_RULES, *experiments.STATUS_RULES}
    assert words - seen == set()


@pytest.mark.parametrize(("seed", "length"), STORIES)
def test_the_verdicts_about_servers_agree_with_placement(seed: int, length: int) -> None:
    judged = 0
    for state in _states(seed, length):
        for model in state.models.values():
            latest = model.versions[-1]
            if model.deleted or latest.deployment.replicas == 0:
                continue
            codes = {verdict.code for verdict in server_verdicts(state, latest)}
            choice = choose(Draft(state, 0), latest)
            assert (choice is not None and choice.whole) == (FITS in codes)
            assert (choice is not None) == bool(codes & {FITS, FITS_PARTLY})
            judged += 1
    assert judged


def test_nothing_explains_what_does_not_exist() -> None:
    state = World().state
    for kind in ("policy", *(kind for kind, _, _ in KINDS)):
        assert explain(state, kind, "none") is None


def test_a_policy_says_what_an_operator_changed() -> None:
    world = World()
    assert world.explained("policy", "cluster")["rule"] == "every field is as it is by default"
    world.policy(retry_limit=3)
    told_now = world.explained("policy", "cluster")
    assert told_now["rule"] == "an operator changed retry_limit"
    assert (told_now["facts"]["retry_limit"], told_now["facts"]["clock_due_ms"]) == (3, None)

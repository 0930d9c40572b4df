from random import Random

from processor.demo.answers import Responder, Router
from processor.demo.notices import Event, Notice


class _NeverFails(Random):
    def random(self) -> float:
        return 0.99


class _AlwaysFails(Random):
    def random(self) -> float:
        return 0.0


ROUTES = Notice("model", "iris", {}, ({"type": "ModelRoutesChanged", "route_revision": 3, "routes": []},))


def test_routes_are_applied_by_their_revision() -> None:
    router, events = Router().hear(ROUTES, 0, _NeverFails(1)).act(1000)
    assert events == [Event("ModelRouteApplied", {"model": "iris", "route_revision": 3})]
    assert router.answers == ()


def test_a_route_may_fail_with_a_reason() -> None:
    _, events = Router().hear(ROUTES, 0, _AlwaysFails(1)).act(1000)
    assert [(event.type, event.data["reason"] != "") for event in events] == [("ModelRouteFailed", True)]


def test_experiment_routes_are_applied() -> None:
    notice = Notice(
        "experiment", "duel", {}, ({"type": "ExperimentRoutesChanged", "route_revision": 1, "wanted": True},)
    )
    _, events = Router().hear(notice, 0, Random(1)).act(1000)
    assert events == [Event("ExperimentRouteApplied", {"experiment": "duel", "route_revision": 1})]


def test_an_answer_waits_until_it_is_due() -> None:
    router = Router().hear(ROUTES, 1000, _NeverFails(1))
    waiting, events = router.act(1000)
    assert (waiting, events) == (router, [])


def test_a_responder_answers_its_own_role_only() -> None:
    asked = {"version": 1, "sequence": 4}
    notice = Notice(
        "pipeline",
        "triage",
        {},
        (
            {"type": "PipelineCreateRequested", "role": "dataflow_engine", **asked},
            {"type": "PipelineDeleteRequested", "role": "pipeline_gateway", **asked},
        ),
    )
    _, events = Responder("pipeline_gateway", "gateway-0").hear(notice, 0, Random(1)).act(1000)
    assert [(event.type, event.data["role"], event.data["sequence"]) for event in events] == [
        ("PipelineReported", "pipeline_gateway", 4)
    ]

"""After every event of many stories: what is derived equals its recomputation, and what must never be is not."""

from typing import Any

import pytest

from processor.cluster.document import to_document
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from tests.cluster import recomputation as again
from tests.cluster.scenarios import told

SEEDS = range(15)
LENGTH = 120
Json = dict[str, Any]


def check_models(document: Json) -> None:
    for name, model in document["models"].items():
        assert model["name"] == name
        numbers = [version["version"] for version in model["versions"]]
        assert numbers == sorted(set(numbers)) != []
        for version in model["versions"]:
            facts = again.version_facts(model, version)
            assert facts == {field: version[field] for field in facts}
            check_entries(document, model, version)
        check_routes(model)


def check_entries(document: Json, model: Json, version: Json) -> None:
    latest = version is model["versions"][-1]
    retiring = model["deleted"] or (not latest and version is not again.fallback(model))
    connected = document["servers"].get(version["server"], {"replicas": {}})["replicas"]
    for index, replica in version["replicas"].items():
        assert index in connected or (retiring and replica["state"] == "Unloaded")
    if retiring:
        assert not again.indexes_in(version, again.HELD | {"Draining", "LoadFailed"})
        assert version["placement_failure"] is None
    if retiring and not latest:
        assert len(again.indexes_in(version, {"Unloaded"})) < len(version["replicas"])
    assert version["server"] or not version["replicas"]


def check_routes(model: Json) -> None:
    assert model["route_applied_revision"] <= model["route_revision"]
    if model["route_applied_revision"] == model["route_revision"]:
        assert not any(again.indexes_in(version, {"UnrouteRequested"}) for version in model["versions"])


def check_servers(document: Json) -> None:
    for name, server in document["servers"].items():
        assert server["declared"] or server["replicas"]
        for index, record in server["replicas"].items():
            assert record["drained"] == again.drained(document, name, index)
            assert record["capabilities"] == sorted({word.strip() for word in record["capabilities"]})
            orphans = [(orphan["model"], orphan["version"]) for orphan in record["orphans"]]
            assert orphans == sorted(set(orphans))


def check_reservations(state: State, document: Json) -> None:
    for name, server in document["servers"].items():
        for index in server["replicas"]:
            usage = state.indexes.usage.get(name, {}).get(int(index))
            assert (usage.reserved if usage is not None else 0) == again.reserved(document, name, index) >= 0


def check_pipelines(document: Json) -> None:
    for pipeline in document["pipelines"].values():
        for version in pipeline["versions"]:
            facts = again.pipeline_facts(document, pipeline, version)
            assert facts == {field: version[field] for field in facts}
            check_answers(document, version)
        for version in pipeline["versions"][:-1]:
            assert {version["engine"]["state"], version["gateway"]["state"]} != {"Terminated"}


def check_answers(document: Json, version: Json) -> None:
    for role, axis in (("dataflow_engine", version["engine"]), ("pipeline_gateway", version["gateway"])):
        present = {key.split("/")[1] for key in document["responders"] if key.startswith(role)}
        assert axis["answers"].keys() <= present
        waiting = any(answer["state"] == "pending" for answer in axis["answers"].values())
        assert waiting == (axis["state"] in {"Creating", "Rebalancing", "Terminating"})


def check_experiments(document: Json) -> None:
    for experiment in document["experiments"].values():
        facts = again.experiment_facts(document, experiment)
        assert facts == {field: experiment[field] for field in facts}
        assert experiment["active"] == (experiment["status"] == "Active")
        assert experiment["deleted"] == (experiment["status"] == "Stopped")
        assert experiment["status"] == "Failed" or not experiment["reason"]


def check_failures(document: Json) -> None:
    for kind in ("model", "pipeline", "experiment"):
        for name in document[f"{kind}s"]:
            key = f"{kind}/{name}"
            cause, entry = again.cause(document, key), document["failures"].get(key)
            if cause is not None:
                assert entry is not None
                assert (entry["code"], entry["message"]) == cause
            elif entry is not None:
                assert not again.well(document, key, entry["code"])
    assert all(key.split("/")[1] in document[f"{key.split('/')[0]}s"] for key in document["failures"])


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_derived_equals_its_recomputation_after_every_event(seed: int) -> None:
    applied = 0
    for before, _, outcome in told(seed, LENGTH):
        if isinstance(outcome, Rejected) or outcome is before:
            continue
        document = to_document(outcome)
        check_models(document)
        check_servers(document)
        check_reservations(outcome, document)
        check_pipelines(document)
        check_experiments(document)
        check_failures(document)
        applied += 1
    assert applied > LENGTH / 5


@pytest.mark.parametrize("seed", SEEDS)
def test_route_revisions_follow_the_routes(seed: int) -> None:
    for before, event, outcome in told(seed, LENGTH):
        if isinstance(outcome, Rejected):
            continue
        old, new = to_document(before)["models"], to_document(outcome)["models"]
        for name in new:
            was = again.routes(old[name]) if name in old else []
            revision = old[name]["route_revision"] if name in old else 0
            if again.routes(new[name]) != was:
                assert new[name]["route_revision"] > revision
            elif type(event).__name__ in {"ModelRouteApplied", "ModelReplicaLoading", "PipelineReported"}:
                assert new[name]["route_revision"] == revision


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollout_never_takes_the_last_serving_replica_away(seed: int) -> None:
    for before, event, outcome in told(seed, LENGTH):
        if isinstance(outcome, Rejected) or type(event).__name__ not in {
            "ModelLoadRequested",
            "ModelReplicaLoadFailed",
            "ModelRouteFailed",
            "ModelReplicaLoaded",
        }:
            continue
        old, new = to_document(before), to_document(outcome)
        for name, model in new["models"].items():
            if again.serving(old, "model", name) and model["versions"][-1]["deployment"]["replicas"] > 0:
                assert again.serving(new, "model", name)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rejected_report_changes_nothing_and_says_why(seed: int) -> None:
    for _, _, outcome in told(seed, LENGTH):
        if isinstance(outcome, Rejected):
            assert outcome.code
            assert outcome.message

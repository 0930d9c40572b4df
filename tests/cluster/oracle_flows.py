"""The rules of pipelines, responders and experiments, slowly; the checks of pipelines are the product's own."""

from processor.cluster.events import Event, PipelineLoadRequested
from processor.cluster.pipeline_checks import refusal
from tests.cluster.oracle import ENDING, Oracle, Refused, check_generation, check_revision, fresh
from tests.cluster.recomputation import Json


def load_pipeline(world: Oracle, data: Json, event: Event) -> None:
    assert isinstance(event, PipelineLoadRequested)
    name, key = data["pipeline"], f"pipeline/{data['pipeline']}"
    if rejected := refusal(event):
        raise Refused(rejected.code)
    pipeline = world.pipelines.get(name)
    running = pipeline is not None and not pipeline["deleted"]
    if pipeline and running and check_generation(pipeline["generation"], data["generation"]):
        return
    world.failures.pop(key, None)
    contents = {field: data[field] for field in ("steps", "output", "allow_cycles")}
    if pipeline and running and all(pipeline["versions"][-1][field] == contents[field] for field in contents):
        pipeline["generation"] = data["generation"]
        return
    pipeline = world.pipelines.setdefault(name, {"name": name, "versions": []})
    pipeline.update(generation=data["generation"], deleted=False, deleted_ms=None)
    number = pipeline["versions"][-1]["version"] + 1 if pipeline["versions"] else 1
    axis = {"state": "Create", "sequence": 0, "answers": {}, "reason": "no_responders"}
    version = {"version": number, **contents, "engine": fresh(axis), "gateway": fresh(axis)}
    version.update(models_ready=False, status="", reason="", status_since_ms=world.at_ms)
    pipeline["versions"].append(version)
    world.start(version, "engine", "create")
    world.start(version, "gateway", "create")


def unload_pipeline(world: Oracle, data: Json, _: Event) -> None:
    pipeline = world.pipelines.get(data["pipeline"])
    if pipeline is None:
        raise Refused("unknown_target")
    if pipeline["deleted"]:
        return
    check_generation(pipeline["generation"], data["generation"])
    pipeline.update(generation=data["generation"], deleted=True, deleted_ms=world.at_ms)
    for version in pipeline["versions"]:
        world.end(version)
    world.failures.pop(f"pipeline/{data['pipeline']}", None)


def answered(world: Oracle, data: Json, _: Event) -> None:
    versions = world.pipelines.get(data["pipeline"], {"versions": []})["versions"]
    asked = [version for version in versions if version["version"] == data["version"]]
    if not asked:
        raise Refused("unknown_target")
    axis = asked[0]["engine" if data["role"] == "dataflow_engine" else "gateway"]
    if axis["sequence"] != data["sequence"]:
        raise Refused("stale_report")
    known = axis["answers"].get(data["responder"])
    answer = {"state": "succeeded" if data["success"] else "failed", "reason": data["reason"]}
    if known == answer:
        return
    if known is None or known["state"] != "pending":
        raise Refused("unexpected_report")
    axis["answers"][data["responder"]] = answer
    world.combine(axis)


def responder_connected(world: Oracle, data: Json, _: Event) -> None:
    key = f"{data['role']}/{data['responder']}"
    if key in world.responders:
        return
    world.responders[key] = {**data, "connected_ms": world.at_ms}
    field = "engine" if data["role"] == "dataflow_engine" else "gateway"
    for name in sorted(world.pipelines):
        for version in world.pipelines[name]["versions"]:
            state = version[field]["state"]
            if state in {"Create", "Creating", "Failed"}:
                world.start(version, field, "create")
            elif state in {"Ready", "Rebalancing"}:
                world.start(version, field, "rebalance")
            elif state in {"Terminating", "TerminateFailed"}:
                world.start(version, field, "delete")


def responder_disconnected(world: Oracle, data: Json, _: Event) -> None:
    if world.responders.pop(f"{data['role']}/{data['responder']}", None) is None:
        return
    field = "engine" if data["role"] == "dataflow_engine" else "gateway"
    for pipeline in world.pipelines.values():
        for version in pipeline["versions"]:
            axis = version[field]
            axis["answers"].pop(data["responder"], None)
            if not world.responders_of(data["role"]):
                ending = axis["state"] in ENDING
                axis.update(state="Terminated" if ending else "Create", reason="" if ending else "no_responders")
            elif axis["state"] in {"Creating", "Rebalancing", "Ready", "Terminating"}:
                world.combine(axis)


def start(world: Oracle, data: Json, _: Event) -> None:
    name = data["experiment"]
    candidates = [candidate["name"] for candidate in data["candidates"]]
    names = candidates + ([data["mirror"]["name"]] if data["mirror"] else [])
    if not names:
        raise Refused("no_candidates")
    if len(names) != len(set(names)):
        raise Refused("duplicate_candidate")
    if data["default"] and data["default"] not in candidates:
        raise Refused("default_not_candidate")
    for other, running in world.experiments.items():
        same = (running["kind"], running["default"]) == (data["kind"], data["default"])
        if other != name and data["default"] and same and not running["deleted"]:
            raise Refused("baseline_taken")
    experiment = world.experiments.get(name)
    known = experiment is not None and not experiment["deleted"]
    if experiment and known and check_generation(experiment["generation"], data["generation"]):
        return
    world.failures.pop(f"experiment/{name}", None)
    contents = {field: data[field] for field in ("kind", "default", "candidates", "mirror")}
    if experiment and known and all(experiment[field] == contents[field] for field in contents):
        experiment["generation"] = data["generation"]
        return
    blank = {"name": name, "route_revision": 0, "route_applied_revision": 0, "routes_wanted": False, "status": ""}
    experiment = world.experiments.setdefault(name, blank)
    experiment.update(contents, generation=data["generation"], deleted=False, deleted_ms=None, active=False)
    experiment["failed"] = None
    world.replaced.add(name)


def stop(world: Oracle, data: Json, _: Event) -> None:
    experiment = world.experiments.get(data["experiment"])
    if experiment is None:
        raise Refused("unknown_target")
    if experiment["deleted"]:
        return
    check_generation(experiment["generation"], data["generation"])
    experiment.update(generation=data["generation"], deleted=True, deleted_ms=world.at_ms)
    world.failures.pop(f"experiment/{data['experiment']}", None)


def split_applied(world: Oracle, data: Json, _: Event) -> None:
    experiment = world.experiments.get(data["experiment"])
    if not check_revision(experiment, data["route_revision"]) and experiment is not None:
        experiment["route_applied_revision"] = data["route_revision"]
        experiment.update(active=experiment["routes_wanted"], failed=None)


def split_failed(world: Oracle, data: Json, _: Event) -> None:
    experiment = world.experiments.get(data["experiment"])
    if not check_revision(experiment, data["route_revision"]) and experiment is not None:
        experiment.update(active=False, failed=data["reason"])

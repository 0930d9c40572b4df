"""The events of models: requests of users and autoscalers, and reports of the router."""

from collections.abc import Callable

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import INTEGER_MAX, Deployment, Model, ModelSpec, NameValue, Replica, Version
from processor.cluster.events import (
    ModelLoadRequested,
    ModelRouteApplied,
    ModelRouteFailed,
    ModelScaleRequested,
    ModelUnloadRequested,
)
from processor.cluster.failures import forget_failure
from processor.cluster.lifecycle import AVAILABLE, FAILED, ROUTED, SCHEDULE_FAILED, UNLOAD_RETRIED, UNROUTABLE, UNROUTED
from processor.cluster.placement import place
from processor.cluster.rejection import Rejected, is_repeat, other_revision, stale_generation, unknown_target
from processor.cluster.rollout import held, routed, with_states


def model_load_requested(draft: Draft, event: ModelLoadRequested) -> Rejected | None:
    """Add a version for a new spec, patch a new deployment in place, place again what lacks replicas."""
    model = draft.model(event.model)
    spec, deployment = _definition(event)
    if model is None or model.deleted:
        _begin(draft, model, event, _new_version(model, spec, deployment, event.at_ms))
        return None
    if rejected := stale_generation(model.generation, event.generation):
        return rejected
    latest = model.versions[-1]
    lacking = latest.status in {SCHEDULE_FAILED, FAILED} or held(latest) < latest.deployment.replicas
    if is_repeat(model.generation, event.generation):
        if lacking:
            _try_again(draft, model)
        return None
    forget_failure(draft, "model", model.name)
    versions = _defined(model, spec, deployment, event.at_ms)
    draft.put_model(replace(model, generation=event.generation, versions=versions))
    if lacking or versions is not model.versions:
        draft.to_place[model.name] = None
    return None


def model_unload_requested(draft: Draft, event: ModelUnloadRequested) -> Rejected | None:
    """Retire all versions. For a model that is deleted already: request once more what failed to unload."""
    model = draft.model(event.model)
    if model is None:
        return unknown_target("model", event.model)
    if model.deleted:
        again = with_states(model, UNLOAD_RETRIED, event.at_ms)
        if again is not model:
            forget_failure(draft, "model", model.name)
            draft.put_model(again)
        return None
    if rejected := stale_generation(model.generation, event.generation):
        return rejected
    forget_failure(draft, "model", model.name)
    draft.put_model(replace(model, generation=event.generation, deleted=True, deleted_ms=event.at_ms))
    return None


def model_scale_requested(draft: Draft, event: ModelScaleRequested) -> Rejected | None:
    """Change the wanted replicas by one, within the limits of the deployment, and place the model again."""
    model = draft.model(event.model)
    if not draft.policy.model_autoscaling:
        return Rejected("autoscaling_off", "the policy turns model autoscaling off")
    if model is None or model.deleted:
        return unknown_target("model", event.model)
    latest = model.versions[-1]
    if rejected := _scale_refusal(draft, latest, event):
        return rejected
    replicas = latest.deployment.replicas + (1 if event.direction == "up" else -1)
    draft.put_latest(model, replace(latest, deployment=replace(latest.deployment, replicas=replicas)))
    draft.to_place[model.name] = None
    draft.capacity_grown = event.direction == "down"
    return None


def model_route_applied(draft: Draft, event: ModelRouteApplied) -> Rejected | None:
    """Make available what is in the announced routes; what left them may be unloaded."""

    def moved(replica: Replica, indexes: tuple[int, ...]) -> Replica:
        state = UNROUTED.get(replica.state)
        if state is None and replica.index in indexes:
            state = ROUTED.get(replica.state)
        return replica if state is None else Replica(replica.index, state, "", event.at_ms)

    return _route_reported(draft, event, moved)


def model_route_failed(draft: Draft, event: ModelRouteFailed) -> Rejected | None:
    """Make the newly routed entries unavailable; the router keeps the routes that it had."""

    def moved(replica: Replica, indexes: tuple[int, ...]) -> Replica:
        if replica.state in UNROUTABLE and replica.index in indexes:
            return Replica(replica.index, UNROUTABLE[replica.state], event.reason, event.at_ms)
        return replica

    return _route_reported(draft, event, moved)


def _route_reported(
    draft: Draft, event: ModelRouteApplied | ModelRouteFailed, moved: Callable[[Replica, tuple[int, ...]], Replica]
) -> Rejected | None:
    """Replace every entry of the model by `moved(entry, announced indexes of its version)`."""
    model = draft.model(event.model)
    if model is None:
        return unknown_target("model", event.model)
    rejected = other_revision(model.route_revision, event.route_revision)
    if rejected or event.route_revision == model.route_applied_revision:
        return rejected
    routes = draft.announced(model.name)
    versions = []
    for version in model.versions:
        indexes = routed(routes, version)
        replicas = tuple([moved(replica, indexes) for replica in version.replicas])
        versions.append(version if replicas == version.replicas else replace(version, replicas=replicas))
    applied = model.route_applied_revision
    if isinstance(event, ModelRouteFailed):
        draft.route_failure = (model.name, event.reason)
    else:
        applied = event.route_revision
    draft.put_model(replace(model, route_applied_revision=applied, versions=tuple(versions)))
    return None


def _definition(event: ModelLoadRequested) -> tuple[ModelSpec, Deployment]:
    spec, deployment = event.spec, event.deployment
    return (
        ModelSpec(
            spec.uri,
            tuple(sorted({requirement.strip() for requirement in spec.requirements})),
            spec.memory,
            spec.instances,
            spec.server,
            tuple([NameValue(name, spec.parameters[name]) for name in sorted(spec.parameters)]),
        ),
        Deployment(deployment.replicas, deployment.min_replicas, deployment.max_replicas),
    )


def _new_version(model: Model | None, spec: ModelSpec, deployment: Deployment, at_ms: int) -> Version:
    number = model.versions[-1].version + 1 if model is not None else 1
    return Version(number, spec, deployment, "", (), None, "", "", at_ms, 0, 0, 0)


def _begin(draft: Draft, model: Model | None, event: ModelLoadRequested, version: Version) -> None:
    forget_failure(draft, "model", event.model)
    if model is None:
        model = Model(event.model, event.generation, False, None, 0, 0, (version,))  # noqa: FBT003 - deleted, by position
    else:
        versions = (*model.versions, version)
        model = replace(model, generation=event.generation, deleted=False, deleted_ms=None, versions=versions)
    draft.put_model(model)
    draft.to_place[event.model] = None


def _defined(model: Model, spec: ModelSpec, deployment: Deployment, at_ms: int) -> tuple[Version, ...]:
    latest = model.versions[-1]
    if latest.spec != spec:
        return (*model.versions, _new_version(model, spec, deployment, at_ms))
    if latest.deployment != deployment:
        return (*model.versions[:-1], replace(latest, deployment=deployment))
    return model.versions


def _try_again(draft: Draft, model: Model) -> None:
    place(draft, model.name)
    if draft.changes_something():
        forget_failure(draft, "model", model.name)


def _scale_refusal(draft: Draft, latest: Version, event: ModelScaleRequested) -> Rejected | None:
    deployment = latest.deployment
    if event.version != latest.version:
        return Rejected("stale_version", f"the latest version is {latest.version}")
    if deployment.min_replicas == 0 == deployment.max_replicas:
        return Rejected("autoscaling_off", "the model has neither a minimum nor a maximum")
    return _up_refusal(latest) if event.direction == "up" else _down_refusal(draft, latest)


def _up_refusal(latest: Version) -> Rejected | None:
    if latest.status != AVAILABLE:
        return Rejected("not_available", f"the model is {latest.status}")
    most = latest.deployment.max_replicas or INTEGER_MAX
    if latest.deployment.replicas >= most:
        return Rejected("at_limit", f"{most} replicas are the most")
    return None


def _down_refusal(draft: Draft, latest: Version) -> Rejected | None:
    if latest.deployment.replicas <= max(latest.deployment.min_replicas, 1):
        return Rejected("at_limit", f"{latest.deployment.replicas} replicas are the least")
    if draft.at_ms - latest.status_since_ms < draft.policy.scale_down_stabilisation_ms:
        return Rejected("too_soon", f"the model has been {latest.status} only since {latest.status_since_ms}")
    return None

"""The rules of what users and autoscalers ask of models, and of what the router says about their routes."""

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
from processor.cluster.generations import repeats, stale
from processor.cluster.lifecycle import AVAILABLE, FAILED, ROUTED, SCHEDULE_FAILED, UNLOAD_RETRIED, UNROUTABLE, UNROUTED
from processor.cluster.placement import place
from processor.cluster.rejection import Rejected
from processor.cluster.rollout import held, routed, with_states
from processor.cluster.route_reports import route_refusal


def model_load_requested(draft: Draft, event: ModelLoadRequested) -> Rejected | None:
    """Make a version of what is new, patch what only differs in its deployment, try again what is lacking."""
    model = draft.model(event.model)
    spec, deployment = _definition(event)
    if model is None or model.deleted:
        _begin(draft, model, event, _new_version(model, spec, deployment, event.at_ms))
        return None
    if rejected := stale(model.generation, event.generation):
        return rejected
    latest = model.versions[-1]
    lacking = latest.status in {SCHEDULE_FAILED, FAILED} or held(latest) < latest.deployment.replicas
    if repeats(model.generation, event.generation):
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
    """Have all versions retire; what could not be unloaded of a deleted model is told again."""
    model = draft.model(event.model)
    if model is None:
        return Rejected("unknown_target", f"there is no model {event.model}")
    if model.deleted:
        again = with_states(model, UNLOAD_RETRIED, event.at_ms)
        if again is not model:
            forget_failure(draft, "model", model.name)
            draft.put_model(again)
        return None
    if rejected := stale(model.generation, event.generation):
        return rejected
    forget_failure(draft, "model", model.name)
    draft.put_model(replace(model, generation=event.generation, deleted=True, deleted_ms=event.at_ms))
    return None


def model_scale_requested(draft: Draft, event: ModelScaleRequested) -> Rejected | None:
    """Want one replica more or less, within the limits of the deployment."""
    model = draft.model(event.model)
    if not draft.policy.model_autoscaling:
        return Rejected("autoscaling_off", "the policy turns model autoscaling off")
    if model is None or model.deleted:
        return Rejected("unknown_target", f"there is no model {event.model}")
    latest = model.versions[-1]
    if rejected := _scale_refusal(draft, latest, event):
        return rejected
    replicas = latest.deployment.replicas + (1 if event.direction == "up" else -1)
    draft.put_latest(model, replace(latest, deployment=replace(latest.deployment, replicas=replicas)))
    draft.to_place[model.name] = None
    draft.capacity_grown = event.direction == "down"
    return None


def model_route_applied(draft: Draft, event: ModelRouteApplied) -> Rejected | None:
    """Take traffic as flowing as announced: what is routed is available, what is not any more may be unloaded."""
    model = draft.model(event.model)
    if model is None:
        return Rejected("unknown_target", f"there is no model {event.model}")
    if rejected := route_refusal(model.route_revision, event.route_revision):
        return rejected
    if event.route_revision == model.route_applied_revision:
        return None
    routes = draft.announced(model.name)
    versions = []
    for version in model.versions:
        indexes = routed(routes, version)
        replicas = tuple([_after_routing(replica, indexes, event.at_ms) for replica in version.replicas])
        versions.append(version if replicas == version.replicas else replace(version, replicas=replicas))
    draft.put_model(replace(model, route_applied_revision=event.route_revision, versions=tuple(versions)))
    return None


def model_route_failed(draft: Draft, event: ModelRouteFailed) -> Rejected | None:
    """Make unavailable what was to be routed anew; the router goes on with what it had."""
    model = draft.model(event.model)
    if model is None:
        return Rejected("unknown_target", f"there is no model {event.model}")
    if rejected := route_refusal(model.route_revision, event.route_revision):
        return rejected
    if event.route_revision == model.route_applied_revision:
        return None
    routes = draft.announced(model.name)
    versions = []
    for version in model.versions:
        indexes = routed(routes, version)
        replicas = tuple(
            [
                Replica(replica.index, UNROUTABLE[replica.state], event.reason, event.at_ms)
                if replica.state in UNROUTABLE and replica.index in indexes
                else replica
                for replica in version.replicas
            ]
        )
        versions.append(version if replicas == version.replicas else replace(version, replicas=replicas))
    draft.put_model(replace(model, versions=tuple(versions)))
    draft.route_failure = (model.name, event.reason)
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


def _after_routing(replica: Replica, indexes: tuple[int, ...], at_ms: int) -> Replica:
    state = UNROUTED.get(replica.state)
    if state is None and replica.index in indexes:
        state = ROUTED.get(replica.state)
    return replica if state is None else Replica(replica.index, state, "", at_ms)

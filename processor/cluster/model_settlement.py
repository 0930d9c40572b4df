"""The step that makes everything derived of a touched model true again: who retires, statuses, routes, serving."""

from msgspec.structs import replace

from processor.cluster.draft import Draft, find
from processor.cluster.entities import Model, Replica, Route, Version
from processor.cluster.lifecycle import FAULTS, LIVE_STATUS, RETIRING_STATUS, SCHEDULE_FAILED, UNLOADED, tally
from processor.cluster.rollout import fallback, is_serving, newly_loaded, released, routed, routes
from processor.cluster.state import Standing


def settle_model(draft: Draft, name: str) -> bool:
    """Settle one model. Return whether its serving changed."""
    model = draft.model(name)
    standing = draft.state.indexes.standings.get(name)
    served = standing is not None and standing.serving
    if model is None:
        draft.standings[name] = None
        return served
    second = fallback(model)
    model = _with_versions(draft, model, second)
    wanted = routes(model, second)
    if wanted != draft.announced(name) or _announced_again(draft, model, wanted):
        model = replace(model, route_revision=model.route_revision + 1)
    serving = is_serving(model, second)
    if standing is None or standing.serving != serving or standing.routes != wanted:
        draft.standings[name] = Standing(wanted, serving)
    draft.put_model(model)
    return serving != served


def newest(replicas: list[Replica]) -> Replica:
    """Return the entry that changed last; among equals the one with the highest index."""
    return max(replicas, key=lambda replica: (replica.since_ms, replica.index))


def _with_versions(draft: Draft, model: Model, second: Version | None) -> Model:
    latest = model.versions[-1]
    versions = []
    for version in model.versions:
        staying = not model.deleted and (version is latest or version is second)
        settled = version if staying else _retired(draft, model.name, version)
        if staying or version is latest or any(replica.state != UNLOADED for replica in settled.replicas):
            current = not model.deleted and version is latest
            if settled.placement_failure is not None and not current:
                settled = replace(settled, placement_failure=None)
            versions.append(_with_status(settled, LIVE_STATUS if staying else RETIRING_STATUS, draft.at_ms))
    if len(versions) == len(model.versions) and all(map(_same, versions, model.versions)):
        return model
    return replace(model, versions=tuple(versions))


def _same(one: object, other: object) -> bool:
    return one is other


def _retired(draft: Draft, name: str, version: Version) -> Version:
    announced = routed(draft.announced(name), version)
    replicas = tuple([released(replica, announced, draft.at_ms) for replica in version.replicas])
    if all(map(_same, replicas, version.replicas)):
        return version
    if any(new.state == UNLOADED and new is not old for new, old in zip(replicas, version.replicas, strict=True)):
        draft.emptied.add(version.server)
    return replace(version, replicas=replicas)


def _with_status(version: Version, rules: tuple, at_ms: int) -> Version:  # type: ignore[type-arg]
    counts = tally(version.replicas)
    status = next(name for name, holds in rules if holds(version, counts))
    unavailable = counts.loading + counts.failed
    if status == SCHEDULE_FAILED:
        unavailable = max(0, version.deployment.replicas - counts.available)
    derived = (
        status,
        _reason(version, status),
        version.status_since_ms if status == version.status else at_ms,
        counts.available,
        unavailable,
        counts.draining,
    )
    if derived == _derived(version):
        return version
    return Version(
        version.version,
        version.spec,
        version.deployment,
        version.server,
        version.replicas,
        version.placement_failure,
        *derived,
    )


def _derived(version: Version) -> tuple[str, str, int, int, int, int]:
    return (
        version.status,
        version.reason,
        version.status_since_ms,
        version.available_replicas,
        version.unavailable_replicas,
        version.draining_replicas,
    )


def _reason(version: Version, status: str) -> str:
    faults = FAULTS.get(status)
    if faults is not None:
        return newest([replica for replica in version.replicas if replica.state in faults]).reason
    return version.placement_failure.code if status == SCHEDULE_FAILED and version.placement_failure else ""


def _announced_again(draft: Draft, model: Model, wanted: tuple[Route, ...]) -> bool:
    before = draft.state.models.get(model.name)
    known = before.versions if before is not None else ()
    for route in wanted:
        version = find(model.versions, route.version)
        if newly_loaded(version, find(known, route.version)):
            return True
    return False

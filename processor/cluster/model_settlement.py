"""Settlement of a model: after an event everything derived from its entries is brought up to date, once.

A rule of an event only moves entries or changes what is wanted. `settle_model` then, in this order:

1. finds the fallback and retires the other versions; the entries of a retiring version leave as `rollout` says;
2. drops retiring versions without anything loaded, and gives each remaining one its status, reason and counts
   (the first row of `LIVE_STATUS` or `RETIRING_STATUS` that holds);
3. raises `route_revision` if the routes differ from those before the event, or if an entry in them is newly loaded:
   only a report that the router applied a revision makes such an entry available;
4. notes the new `ServingView`, and returns whether serving changed, which tells `generator` to settle the pipelines
   and experiments that use the model.

**Invariants.** A model that settlement leaves as it is keeps its identity. The routes are compared with those before
the event, not with intermediate ones. A model is settled once an event.
"""

from operator import is_

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import Model, Replica, Route, Version
from processor.cluster.lifecycle import (
    FAULTS,
    LIVE_STATUS,
    RETIREMENT,
    RETIRING_STATUS,
    SCHEDULE_FAILED,
    UNLOADED,
    StatusRules,
    Tally,
    tally,
)
from processor.cluster.rollout import fallback_position, newly_loaded, released, routed, routes_of, serves, tallies_of
from processor.cluster.rows import find_version
from processor.cluster.state import ServingView


def settle_model(draft: Draft, name: str) -> bool:
    """Settle one model. Return whether it begins or ceases to serve."""
    model = draft.models[name]
    view = draft.state.indexes.serving_views.get(name)
    served = view is not None and view.serving
    if model is None:
        draft.serving_views[name] = None
        return served
    tallies = tallies_of(model)
    fallback_at = fallback_position(model, tallies)
    wanted, serving = routes_of(model, tallies, fallback_at), serves(model, tallies, fallback_at)
    settled = _settled(draft, model, tallies, fallback_at)
    announced = view.routes if view is not None else ()
    if wanted != announced or (wanted and _announced_again(draft, settled, wanted)):
        settled = replace(settled, route_revision=settled.route_revision + 1)
    if view is None or serving != served or wanted != announced:
        draft.serving_views[name] = ServingView(wanted, serving)
    if settled is not model:
        draft.put_model(settled)
    return serving != served


def newest(replicas: list[Replica]) -> Replica:
    """Return the entry that changed last; of several the one with the highest index."""
    return max(replicas, key=lambda replica: (replica.since_ms, replica.index))


def _settled(draft: Draft, model: Model, tallies: list[Tally], fallback_at: int) -> Model:
    if len(tallies) == 1 and not model.deleted:
        latest = model.versions[0]
        settled = _with_status(latest, tallies[0], LIVE_STATUS, draft.at_ms)
        return model if settled is latest else replace(model, versions=(settled,))
    last = len(tallies) - 1
    versions = []
    for position, version in enumerate(model.versions):
        if not model.deleted and position in (last, fallback_at):
            staying = version if position == last else _unblamed(version)
            versions.append(_with_status(staying, tallies[position], LIVE_STATUS, draft.at_ms))
            continue
        retired = _unblamed(_retired(draft, model.name, version))
        if position == last or not _is_finished(retired):
            same = retired.replicas is version.replicas
            counts = tallies[position] if same else tally(retired.replicas)
            versions.append(_with_status(retired, counts, RETIRING_STATUS, draft.at_ms))
    if len(versions) == len(tallies) and all(map(is_, versions, model.versions)):
        return model
    return replace(model, versions=tuple(versions))


def _is_finished(version: Version) -> bool:
    return all(replica.state == UNLOADED for replica in version.replicas)


def _unblamed(version: Version) -> Version:
    """Return the version without a placement failure: only the latest version is placed."""
    return version if version.placement_failure is None else replace(version, placement_failure=None)


def _retired(draft: Draft, name: str, version: Version) -> Version:
    if RETIREMENT.keys().isdisjoint([replica.state for replica in version.replicas]):
        return version
    announced = routed(draft.announced(name), version)
    replicas = tuple([released(replica, announced, draft.at_ms) for replica in version.replicas])
    if any(new.state == UNLOADED and new is not old for new, old in zip(replicas, version.replicas, strict=True)):
        draft.emptied |= {version.server}
    return replace(version, replicas=replicas)


def _with_status(version: Version, counts: Tally, rules: StatusRules, at_ms: int) -> Version:
    status, reason = version.status, ""
    for name, holds in rules:
        if holds(version, counts):
            status = name
            break
    unavailable = counts.loading + counts.load_failed + counts.loaded_unavailable
    if status == SCHEDULE_FAILED and version.placement_failure is not None:
        unavailable = max(0, version.deployment.replicas - counts.available)
        reason = version.placement_failure.code
    elif status in FAULTS:
        reason = newest([replica for replica in version.replicas if replica.state in FAULTS[status]]).reason
    if (
        status == version.status
        and reason == version.reason
        and counts.available == version.available_replicas
        and unavailable == version.unavailable_replicas
        and counts.draining == version.draining_replicas
    ):
        return version
    return Version(
        version.version,
        version.spec,
        version.deployment,
        version.server,
        version.replicas,
        version.placement_failure,
        status,
        reason,
        version.status_since_ms if status == version.status else at_ms,
        counts.available,
        unavailable,
        counts.draining,
    )


def _announced_again(draft: Draft, model: Model, wanted: tuple[Route, ...]) -> bool:
    before = draft.state.models.get(model.name)
    for route in wanted:
        version = find_version(model, route.version)
        if version is not None and newly_loaded(version, find_version(before, route.version)):
            return True
    return False

"""Rollout: how a new version of a model replaces an old one without a gap in serving.

Everything here follows from the model alone, most of it from the counts of each version's entries (`Tally`):

* The *latest* version is the one that is wanted. It is rolled out when `lifecycle.reaches` says so.
* Until then an older version, the *fallback*, serves: the newest that takes traffic now, else the newest that could.
* All other versions, and all of a deleted model, *retire*.
* The *routes* share the traffic over the latest version and the fallback, in proportion to their usable replicas.
* An entry that leaves goes in two steps. While the announced routes hold it, it waits (UnrouteRequested) until the
  router reports that it applied routes without it; only then it is unloaded (`released`, `lifecycle.UNROUTED`).

**Invariants.** A rollout that fails takes no serving version away, because the fallback retires only when the latest
is available. No entry waits for the router when the applied routes are the current ones. `model_settlement` relies on
both; `explanations`, `transitions` and `loading` compute the same answers from here.

Speed: most models have one version, so the functions take the tallies and the fallback's position from their caller,
who counts the entries once an event.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from processor.cluster.entities import Model, Replica, Route, Version
from processor.cluster.lifecycle import HELD, LOADED, RETIREMENT, Tally, reaches, tally


def held(version: Version) -> int:
    """Count the entries that are loaded, or being loaded, where they should be."""
    count = 0
    for replica in version.replicas:
        if replica.state in HELD:
            count += 1
    return count


def tallies_of(model: Model) -> list[Tally]:
    """Return the tally of each version."""
    versions = model.versions
    if len(versions) == 1:
        return [tally(versions[0].replicas)]
    return [tally(version.replicas) for version in versions]


def fallback(model: Model) -> Version | None:
    """Return the older version that serves until the latest is rolled out, None if there is none or no need."""
    if len(model.versions) == 1 or model.deleted:
        return None
    position = fallback_position(model, tallies_of(model))
    return model.versions[position] if position >= 0 else None


def fallback_position(model: Model, tallies: list[Tally]) -> int:
    """Return the position of the fallback among the model's versions, −1 if there is none; `tallies` are theirs."""
    if len(tallies) == 1 or model.deleted or reaches(model.versions[-1].deployment, tallies[-1].available):
        return -1
    older = range(len(tallies) - 2, -1, -1)
    for position in older:
        if tallies[position].serving:
            return position
    for position in older:
        if tallies[position].assignment:
            return position
    return -1


def routes(model: Model) -> tuple[Route, ...]:
    """Return the model's routes, newest version first."""
    tallies = tallies_of(model)
    return routes_of(model, tallies, fallback_position(model, tallies))


def routes_of(model: Model, tallies: list[Tally], fallback_at: int) -> tuple[Route, ...]:
    """Return the model's routes, newest version first; `fallback_at` is the position of its fallback."""
    if model.deleted:
        return ()
    latest, first = model.versions[-1], tallies[-1].assignment
    other = tallies[fallback_at].assignment if fallback_at >= 0 else ()
    if not other:
        return (Route(latest.version, latest.server, first, 100),) if first else ()
    second = model.versions[fallback_at]
    if not first:
        return (Route(second.version, second.server, other, 100),)
    weight = 100 * len(other) // (len(other) + len(first))
    return (
        Route(latest.version, latest.server, first, 100 - weight),
        Route(second.version, second.server, other, weight),
    )


def serves(model: Model, tallies: list[Tally], fallback_at: int) -> bool:
    """Tell whether the latest version or the fallback serves traffic; a deleted model does not serve."""
    return not model.deleted and (tallies[-1].serving or (fallback_at >= 0 and tallies[fallback_at].serving))


def routed(announced: tuple[Route, ...], version: Version) -> tuple[int, ...]:
    """Return the indexes of the version's entries in these routes."""
    for route in announced:
        if route.version == version.version and route.server == version.server:
            return route.replicas
    return ()


def released(replica: Replica, announced: tuple[int, ...], at_ms: int) -> Replica:
    """Return the entry as it leaves: `announced` are the indexes in the routes, whose traffic stops first."""
    targets = RETIREMENT.get(replica.state)
    if targets is None:
        return replica
    return Replica(replica.index, targets[0] if replica.index in announced else targets[1], "", at_ms)


def with_states(model: Model, moves: Mapping[str, str], at_ms: int) -> Model:
    """Return the model with each entry moved as `moves` (state → next state) says; the same object if none moves."""
    if not any(replica.state in moves for version in model.versions for replica in version.replicas):
        return model
    versions = []
    for version in model.versions:
        replicas = [
            Replica(replica.index, moves[replica.state], "", at_ms) if replica.state in moves else replica
            for replica in version.replicas
        ]
        versions.append(replace(version, replicas=tuple(replicas)))
    return replace(model, versions=tuple(versions))


def newly_loaded(version: Version, before: Version | None) -> bool:
    """Tell whether an entry of the version has entered Loaded since `before`."""
    if version is before:
        return False
    known = before.replicas if before is not None and before.server == version.server else ()
    for replica in version.replicas:  # noqa: SIM110 - a generator costs more than the loop
        if replica.state == LOADED and not _was_loaded(replica, known):
            return True
    return False


def _was_loaded(replica: Replica, known: tuple[Replica, ...]) -> bool:
    for old in known:
        if old.index == replica.index:
            return old.state == LOADED and old.since_ms == replica.since_ms
    return False

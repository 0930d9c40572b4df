"""What follows from a model alone: which version serves while another comes, the routes, who retires."""

from msgspec.structs import replace

from processor.cluster.entities import Model, Replica, Route, Version
from processor.cluster.lifecycle import AVAILABLE, DRAINING, HELD, LIVE, LOADED, RETIREMENT, SERVING, reaches


def held(version: Version) -> int:
    """Count the entries that are where they should be."""
    return sum([replica.state in HELD for replica in version.replicas])


def assignment(version: Version) -> tuple[int, ...]:
    """Return the indexes that can take traffic: the live ones; if there are none, the draining ones."""
    live = tuple([replica.index for replica in version.replicas if replica.state in LIVE])
    return live or tuple([replica.index for replica in version.replicas if replica.state == DRAINING])


def rolled_out(version: Version) -> bool:
    """Tell whether the version has as many available replicas as it needs."""
    return reaches(version.deployment, sum([replica.state == AVAILABLE for replica in version.replicas]))


def serves(version: Version) -> bool:
    """Tell whether some entry of the version is serving traffic."""
    return any(replica.state in SERVING for replica in version.replicas)


def fallback(model: Model) -> Version | None:
    """Return the older version that serves until the latest is rolled out, None if there is none or no need."""
    older = model.versions[:-1]
    if not older or model.deleted or rolled_out(model.versions[-1]):
        return None
    for version in reversed(older):
        if serves(version):
            return version
    for version in reversed(older):
        if assignment(version):
            return version
    return None


def routes(model: Model, second: Version | None) -> tuple[Route, ...]:
    """Return the model's routes, newest version first; `second` is its fallback."""
    if model.deleted:
        return ()
    latest = model.versions[-1]
    first = assignment(latest)
    other = assignment(second) if second is not None else ()
    if second is None or not other:
        return (Route(latest.version, latest.server, first, 100),) if first else ()
    if not first:
        return (Route(second.version, second.server, other, 100),)
    weight = 100 * len(other) // (len(other) + len(first))
    return (
        Route(latest.version, latest.server, first, 100 - weight),
        Route(second.version, second.server, other, weight),
    )


def is_serving(model: Model, second: Version | None) -> bool:
    """Tell whether the latest version or the fallback serves traffic; a deleted model does not serve."""
    return not model.deleted and (serves(model.versions[-1]) or (second is not None and serves(second)))


def routed(announced: tuple[Route, ...], version: Version) -> tuple[int, ...]:
    """Return the indexes of the version that these routes hold."""
    for route in announced:
        if route.version == version.version and route.server == version.server:
            return route.replicas
    return ()


def released(replica: Replica, announced: tuple[int, ...], at_ms: int) -> Replica:
    """Return the entry on its way out: traffic stops first where there is some."""
    targets = RETIREMENT.get(replica.state)
    if targets is None:
        return replica
    return Replica(replica.index, targets[0] if replica.index in announced else targets[1], "", at_ms)


def with_states(model: Model, sources: frozenset[str], target: str, at_ms: int) -> Model:
    """Return the model with every entry of these states in the target state; the same object if there is none."""
    if not any(replica.state in sources for version in model.versions for replica in version.replicas):
        return model
    versions = []
    for version in model.versions:
        replicas = [
            Replica(replica.index, target, "", at_ms) if replica.state in sources else replica
            for replica in version.replicas
        ]
        versions.append(replace(version, replicas=tuple(replicas)))
    return replace(model, versions=tuple(versions))


def newly_loaded(version: Version, before: Version | None) -> bool:
    """Tell whether an entry of the version has entered Loaded since `before`."""
    if version is before:
        return False
    known = before.replicas if before is not None and before.server == version.server else ()
    return any(replica.state == LOADED and not _was_so(replica, known) for replica in version.replicas)


def _was_so(replica: Replica, known: tuple[Replica, ...]) -> bool:
    return any(old.index == replica.index and old.state == LOADED and old.since_ms == replica.since_ms for old in known)

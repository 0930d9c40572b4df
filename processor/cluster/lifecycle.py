"""The lifecycle of models as tables: states of entries, what moves them, and how a version's status follows.

An *entry* is one replica of a model version on one server replica. Every rule about states is a row here: reducers,
settlement and placement look it up, and the diagrams of the documentation are drawn from the same tables. A rule about
states that does not stand in a table does not exist. The tables of pipelines are in `pipeline_lifecycle`, those of
experiments in `statuses`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from processor.cluster.entities import Deployment, Replica, Version

LOAD_REQUESTED: Final = "LoadRequested"
LOADING: Final = "Loading"
LOADED: Final = "Loaded"
AVAILABLE: Final = "Available"
LOADED_UNAVAILABLE: Final = "LoadedUnavailable"
DRAINING: Final = "Draining"
LOAD_FAILED: Final = "LoadFailed"
UNROUTE_REQUESTED: Final = "UnrouteRequested"
UNLOAD_REQUESTED: Final = "UnloadRequested"
UNLOADING: Final = "Unloading"
UNLOADED: Final = "Unloaded"
UNLOAD_FAILED: Final = "UnloadFailed"

REPLICA_STATES: Final = (
    LOAD_REQUESTED,
    LOADING,
    LOADED,
    AVAILABLE,
    LOADED_UNAVAILABLE,
    DRAINING,
    LOAD_FAILED,
    UNROUTE_REQUESTED,
    UNLOAD_REQUESTED,
    UNLOADING,
    UNLOADED,
    UNLOAD_FAILED,
)

BEING_LOADED: Final = frozenset({LOAD_REQUESTED, LOADING})
LIVE: Final = frozenset({LOADED, AVAILABLE, LOADED_UNAVAILABLE})
HELD: Final = BEING_LOADED | LIVE
SERVING: Final = frozenset({AVAILABLE, DRAINING})
LEAVING: Final = frozenset({UNROUTE_REQUESTED, UNLOAD_REQUESTED, UNLOADING})
GONE: Final = frozenset({LOAD_FAILED, UNLOADED})
OCCUPYING: Final = HELD | LEAVING | {DRAINING}
READOPTED: Final = HELD | {DRAINING, LOAD_FAILED}


class ReportRule(Struct, frozen=True, gc=False):
    """What a report does to an entry: from `sources` it moves to `target`, in `repeats` nothing; else it is rejected.

    `measured`: the report carries the server replica's available memory. `frees`: capacity may have grown.
    `reasoned`: the report says why. `quiet`: nothing derived depends on the move, so the model is not settled.
    """

    sources: frozenset[str]
    target: str
    repeats: frozenset[str]
    measured: bool = False
    frees: bool = False
    reasoned: bool = False
    quiet: bool = False


REPORTS: Final[Mapping[str, ReportRule]] = MappingProxyType(
    {
        "ModelReplicaLoading": ReportRule(frozenset({LOAD_REQUESTED}), LOADING, frozenset({LOADING}), quiet=True),
        "ModelReplicaLoaded": ReportRule(BEING_LOADED, LOADED, LIVE | {DRAINING}, measured=True),
        "ModelReplicaLoadFailed": ReportRule(
            BEING_LOADED, LOAD_FAILED, frozenset({LOAD_FAILED}), frees=True, reasoned=True
        ),
        "ModelReplicaUnloading": ReportRule(
            frozenset({UNLOAD_REQUESTED}), UNLOADING, frozenset({UNLOADING}), quiet=True
        ),
        "ModelReplicaUnloaded": ReportRule(
            frozenset({UNLOAD_REQUESTED, UNLOADING}), UNLOADED, frozenset({UNLOADED}), measured=True, frees=True
        ),
        "ModelReplicaUnloadFailed": ReportRule(
            frozenset({UNLOAD_REQUESTED, UNLOADING}), UNLOAD_FAILED, frozenset({UNLOAD_FAILED}), reasoned=True
        ),
    }
)

RETIREMENT: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        **dict.fromkeys(HELD | {DRAINING}, (UNROUTE_REQUESTED, UNLOAD_REQUESTED)),
        LOAD_FAILED: (UNLOADED, UNLOADED),
    }
)
"""State of an entry that is no longer wanted → next state if it is in the announced routes, and if it is not.

Other states stay.
"""

DRAIN: Final[Mapping[str, str]] = MappingProxyType(
    {**dict.fromkeys(LIVE, DRAINING), **dict.fromkeys(BEING_LOADED, UNLOAD_REQUESTED)}
)
"""State of an entry on a server replica that begins to drain → next state; other states stay."""

LOST: Final[Mapping[str, str]] = MappingProxyType(dict.fromkeys(frozenset(REPLICA_STATES) - {UNLOADED}, UNLOADED))
"""State of an unwanted entry that its server replica lost → next state; Unloaded stays.

A wanted entry is removed, whatever its state, and its model is placed again.
"""

SELECTED: Final[Mapping[str, str]] = MappingProxyType(
    {**dict.fromkeys(frozenset(REPLICA_STATES) - HELD, LOAD_REQUESTED), UNROUTE_REQUESTED: LOADED}
)
"""State of an entry that a placement chooses → next state; a held one stays.

An entry that waits for its traffic to stop is still loaded, so it needs no new load.
"""

ROUTED: Final[Mapping[str, str]] = MappingProxyType(dict.fromkeys((LOADED, LOADED_UNAVAILABLE), AVAILABLE))
"""State of an entry in routes that were applied → next state; other states stay."""

UNROUTED: Final[Mapping[str, str]] = MappingProxyType({UNROUTE_REQUESTED: UNLOAD_REQUESTED})
"""State of any entry once routes were applied → next state; other states stay."""

UNROUTABLE: Final[Mapping[str, str]] = MappingProxyType({LOADED: LOADED_UNAVAILABLE})
"""State of an entry in routes that could not be applied → next state; other states stay."""

UNLOAD_RETRIED: Final[Mapping[str, str]] = MappingProxyType({UNLOAD_FAILED: UNLOAD_REQUESTED})
"""State of an entry whose unloading is requested again, by a user or by a retry → next state."""


class Tally(Struct, frozen=True, gc=False):
    """The entries of a version counted by part of their life, and the indexes that can take traffic."""

    available: int
    loading: int
    load_failed: int
    loaded_unavailable: int
    leaving: int
    unload_failed: int
    draining: int
    assignment: tuple[int, ...]

    @property
    def failed(self) -> int:
        """Entries that should serve and cannot."""
        return self.load_failed + self.loaded_unavailable

    @property
    def serving(self) -> bool:
        """Whether some entry is serving traffic."""
        return self.available + self.draining > 0


_COUNTERS: Final[Mapping[str, int]] = {
    AVAILABLE: 0,
    **dict.fromkeys((LOAD_REQUESTED, LOADING, LOADED), 1),
    LOAD_FAILED: 2,
    LOADED_UNAVAILABLE: 3,
    **dict.fromkeys(LEAVING, 4),
    UNLOAD_FAILED: 5,
    DRAINING: 6,
    UNLOADED: 7,
}
"""State of an entry → position of the counter in `tally`; the last one, of Unloaded, is dropped."""


def tally(replicas: tuple[Replica, ...]) -> Tally:
    """Count the entries of a version."""
    counts = [0, 0, 0, 0, 0, 0, 0, 0]
    live, draining = [], []
    for replica in replicas:
        state = replica.state
        counts[_COUNTERS[state]] += 1
        if state in LIVE:
            live.append(replica.index)
        elif state == DRAINING:
            draining.append(replica.index)
    available, loading, load_failed, unavailable, leaving, unload_failed, leaving_traffic, _ = counts
    assignment = tuple(live or draining)
    return Tally(available, loading, load_failed, unavailable, leaving, unload_failed, leaving_traffic, assignment)


def reaches(deployment: Deployment, available: int) -> bool:
    """Tell whether a version with this number of available replicas is rolled out."""
    return available >= deployment.replicas or 0 < deployment.min_replicas <= available


SCHEDULE_FAILED: Final = "ScheduleFailed"
FAILED: Final = "Failed"
SCALED_DOWN: Final = "ScaledDown"
PROGRESSING: Final = "Progressing"
TERMINATE_FAILED: Final = "TerminateFailed"
TERMINATING: Final = "Terminating"
TERMINATED: Final = "Terminated"

StatusRules = tuple[tuple[str, Callable[[Version, Tally], bool]], ...]


def _has_no_place(version: Version, _: Tally) -> bool:
    """Tell whether it could not be placed."""
    return version.placement_failure is not None


def _has_failed_replicas(_: Version, counts: Tally) -> bool:
    """Tell whether a replica failed to load or could not be routed."""
    return counts.load_failed + counts.loaded_unavailable > 0


def _wants_nothing(version: Version, counts: Tally) -> bool:
    """Tell whether no replicas are wanted and none is available."""
    return version.deployment.replicas == 0 == counts.available


def _is_rolled_out(version: Version, counts: Tally) -> bool:
    """Tell whether all replicas are available, or the minimum that is stated."""
    return reaches(version.deployment, counts.available)


def _could_not_be_unloaded(_: Version, counts: Tally) -> bool:
    """Tell whether a replica failed to unload."""
    return counts.unload_failed > 0


def _is_still_there(_: Version, counts: Tally) -> bool:
    """Tell whether a replica is not unloaded yet."""
    return counts.leaving + counts.available + counts.loading + counts.draining + counts.loaded_unavailable > 0


def _otherwise(_: Version, __: Tally) -> bool:
    """Tell whether nothing above holds."""
    return True


LIVE_STATUS: Final[StatusRules] = (
    (SCHEDULE_FAILED, _has_no_place),
    (FAILED, _has_failed_replicas),
    (SCALED_DOWN, _wants_nothing),
    (AVAILABLE, _is_rolled_out),
    (PROGRESSING, _otherwise),
)
"""The status of a version that is the latest or the fallback: the first rule that holds."""

RETIRING_STATUS: Final[StatusRules] = (
    (TERMINATE_FAILED, _could_not_be_unloaded),
    (TERMINATING, _is_still_there),
    (TERMINATED, _otherwise),
)
"""The status of a version that retires: the first rule that holds."""

FAULTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {FAILED: frozenset({LOAD_FAILED, LOADED_UNAVAILABLE}), TERMINATE_FAILED: frozenset({UNLOAD_FAILED})}
)
"""Status → the states of the entries whose newest gives the version its reason."""

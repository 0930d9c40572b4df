"""The cluster state: persistent tables of entities, what was touched since a point, and the derived indexes."""

from collections.abc import Mapping
from typing import Any, Final

from immutables import Map
from msgspec import Struct

from processor.cluster.agenda import Agenda
from processor.cluster.entities import (
    Experiment,
    Failure,
    Model,
    Pipeline,
    PlacementFailure,
    Policy,
    Responder,
    Route,
    Server,
)
from processor.cluster.headroom import EMPTY_CACHE, Demand, HeadroomCache
from processor.cluster.kinds import SECTIONS

_STRUCTS: Final[Mapping[str, type]] = {
    "server": Server,
    "responder": Responder,
    "model": Model,
    "pipeline": Pipeline,
    "experiment": Experiment,
    "failure": Failure,
}

KINDS: Final = tuple((kind, SECTIONS[kind], struct) for kind, struct in _STRUCTS.items())
"""Kind, the table that holds it, and its struct, in the order in which changes are announced, after the policy."""


class Usage(Struct, frozen=True, gc=False):
    """The entries on one server replica, summed up.

    `reserved`: bytes for versions that are being loaded. `occupied`: entries that are held, draining or leaving.
    `blocking`: models that keep it from being drained. `models`: model → number of its entries there.
    """

    reserved: int
    occupied: int
    blocking: int
    models: "Map[str, int]"


class ServingView(Struct, frozen=True, gc=False):
    """What pipelines, experiments and the router see of a model: its routes, and whether it serves."""

    routes: tuple[Route, ...]
    serving: bool


class Indexes(Struct, frozen=True, gc=False):
    """What is derived from the tables. Never stored, always equal to its recomputation; see `indexes`.

    `server_names` ascending · `usage` server → index → Usage · `demand` server → wanted replicas → models whose latest
    version is bound there · `waiting` demand, `PARTLY` or `BROKEN` → models that may be placed better → bytes that
    one replica needs · `serving_views` model → ServingView ·
    `pipelines_by_model` model → pipelines · `experiments_by_candidate` (kind, name) → experiments ·
    `defaults` (kind, default) → running experiments · `responders` role → names ascending ·
    `retries` when a failure is tried again · `tombstones` what is deleted and finished, by its `deleted_ms`.
    """

    server_names: tuple[str, ...] = ()
    usage: "Map[str, Map[int, Usage]]" = Map()
    demand: "Map[str, Map[int, int]]" = Map()
    waiting: "Map[Demand, Map[str, int]]" = Map()
    serving_views: "Map[str, ServingView]" = Map()
    pipelines_by_model: "Map[str, Map[str, bool]]" = Map()
    experiments_by_candidate: "Map[tuple[str, str], Map[str, bool]]" = Map()
    defaults: "Map[tuple[str, str], Map[str, bool]]" = Map()
    responders: "Map[str, tuple[str, ...]]" = Map()
    retries: Agenda = Agenda()
    tombstones: Agenda = Agenda()


Touched = tuple[str, str, Any, Any, Any] | tuple[()]
"""Table, name, the entity before and the one put there, and what was touched before that; () is the end."""

UNTOUCHED: Final[Touched] = ()


class State(Struct, frozen=True, gc=False, eq=False):
    """A cluster state. Two states are equal if their entities are; nothing else counts.

    `touched` lists what was touched since the point that `origin` identifies: states of one origin differ at most in
    what one of them has touched. `headroom` and `placement_failures` (pinned server, "" = none → why no server took a
    version) are caches of placement, see `headroom`; they never change a result.
    """

    policy: Policy
    servers: "Map[str, Server]"
    responders: "Map[str, Responder]"
    models: "Map[str, Model]"
    pipelines: "Map[str, Pipeline]"
    experiments: "Map[str, Experiment]"
    failures: "Map[str, Failure]"
    touched: Touched
    origin: object
    indexes: Indexes
    headroom: HeadroomCache
    placement_failures: "Map[str, PlacementFailure]"

    def tables(self) -> tuple[Any, ...]:
        """Return the policy and the tables, which are what a state is."""
        return (
            self.policy,
            self.servers,
            self.responders,
            self.models,
            self.pipelines,
            self.experiments,
            self.failures,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return self.tables() == other.tables()

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def empty_state() -> State:
    """Return the state before any event."""
    return State(Policy(), Map(), Map(), Map(), Map(), Map(), Map(), UNTOUCHED, object(), Indexes(), EMPTY_CACHE, Map())

"""Building a state from its entities: the tables first, then every index, computed for all entities at once."""

from collections.abc import Iterable, Mapping
from typing import Any

from immutables import Map

from processor.cluster.agenda import Agenda, agenda_of
from processor.cluster.entities import Experiment, Failure, Model, Pipeline, Policy, Responder
from processor.cluster.failures import retry_time
from processor.cluster.headroom import EMPTY_CACHE
from processor.cluster.indexes import (
    blockers,
    candidates_of,
    default_of,
    demand_of,
    finished_ms,
    frozen_nested,
    models_of,
    usage_deltas,
    waiting_of,
)
from processor.cluster.kinds import POLICY_NAME, SECTIONS
from processor.cluster.rollout import fallback_position, routes_of, serves, tallies_of
from processor.cluster.state import KINDS, UNTOUCHED, Indexes, ServingView, State, Usage

Tables = Mapping[str, Mapping[str, Any]]


def load_state(entities: Iterable[tuple[str, Any]]) -> State:
    """Build a state from entities keyed `<kind>/<name>`. Raises KeyError for an unknown kind."""
    tables: dict[str, dict[str, Any]] = {kind: {} for kind in SECTIONS}
    for key, entity in entities:
        kind, _, name = key.partition("/")
        tables[kind][name] = entity
    policy = tables["policy"].get(POLICY_NAME, Policy())
    return State(
        policy=policy,
        touched=UNTOUCHED,
        origin=object(),
        indexes=indexes_of(policy, tables),
        headroom=EMPTY_CACHE,
        placement_failures=Map(),
        **{table: Map(tables[kind]) for kind, table, _ in KINDS},
    )


def indexes_of(policy: Policy, tables: Tables) -> Indexes:
    """Derive every index from the tables (kind → name → entity)."""
    models: Mapping[str, Model] = tables["model"]
    pipelines: Mapping[str, Pipeline] = tables["pipeline"]
    experiments: Mapping[str, Experiment] = tables["experiment"]
    return Indexes(
        tuple(sorted(tables["server"])),
        _usage(models),
        _demand(models),
        _waiting(models),
        Map({name: serving_view_of(model) for name, model in models.items()}),
        _links((name, models_of(pipeline)) for name, pipeline in pipelines.items()),
        _links((name, candidates_of(experiment)) for name, experiment in experiments.items()),
        _links((name, default_of(experiment)) for name, experiment in experiments.items()),
        _responders(tables["responder"].values()),
        _retries(policy, tables),
        _tombstones(tables),
    )


def serving_view_of(model: Model) -> ServingView:
    """Return what pipelines, experiments and the router see of a model."""
    tallies = tallies_of(model)
    fallback_at = fallback_position(model, tallies)
    return ServingView(routes_of(model, tallies, fallback_at), serves(model, tallies, fallback_at))


def _usage(models: Mapping[str, Model]) -> Any:
    sums: dict[str, dict[int, list[int]]] = {}
    counts: dict[str, dict[int, dict[str, int]]] = {}
    for name, model in models.items():
        for (server, index), delta in usage_deltas(None, model).items():
            total = sums.setdefault(server, {}).setdefault(index, [0, 0, 0])
            total[0] += delta[0]
            total[1] += delta[1]
            counts.setdefault(server, {}).setdefault(index, {})[name] = delta[3]
        for server, index in blockers(model):
            sums[server][index][2] += 1
    return frozen_nested(
        {
            server: {
                index: Usage(total[0], total[1], total[2], Map(counts[server][index]))
                for index, total in replicas.items()
            }
            for server, replicas in sums.items()
        }
    )


def _demand(models: Mapping[str, Model]) -> Any:
    counts: dict[str, dict[int, int]] = {}
    for model in models.values():
        demand = demand_of(model)
        if demand is not None:
            row = counts.setdefault(demand[0], {})
            row[demand[1]] = row.get(demand[1], 0) + 1
    return frozen_nested(counts)


def _waiting(models: Mapping[str, Model]) -> Any:
    groups: dict[Any, dict[str, int]] = {}
    for name, model in models.items():
        waits = waiting_of(model)
        if waits is not None:
            groups.setdefault(waits[0], {})[name] = waits[1]
    return frozen_nested(groups)


def _links(pairs: Iterable[tuple[str, set[Any]]]) -> Any:
    links: dict[Any, dict[str, bool]] = {}
    for name, keys in pairs:
        for key in keys:
            links.setdefault(key, {})[name] = True
    return frozen_nested(links)


def _responders(responders: Iterable[Responder]) -> Any:
    roles: dict[str, list[str]] = {}
    for responder in responders:
        roles.setdefault(responder.role, []).append(responder.responder)
    return Map({role: tuple(sorted(names)) for role, names in roles.items()})


def _retries(policy: Policy, tables: Tables) -> Agenda:
    times = {}
    failures: Mapping[str, Failure] = tables["failure"]
    for key, failure in failures.items():
        time = retry_time(failure, tables[failure.kind].get(failure.name), policy.retry_limit)
        if time is not None:
            times[key] = time
    return agenda_of(times)


def _tombstones(tables: Tables) -> Agenda:
    times = {}
    for kind in ("model", "pipeline", "experiment"):
        for name, entity in tables[kind].items():
            time = finished_ms(kind, entity)
            if time is not None:
                times[f"{kind}/{name}"] = time
    return agenda_of(times)

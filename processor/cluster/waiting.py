"""Retrying models that wait for room, after an event that may have freed capacity.

Models wait in groups (`Indexes.waiting`): those that are nowhere by their demand, those that are somewhere but lack
replicas in `PARTLY`, those with replicas that failed to load in `BROKEN`. The rules demand that each is tried, who
waited longest first, and that a retry counts only if it improves the model. With thousands of waiting models most
tries fail, so they are passed over in groups: if the smallest member of a demand finds no server, no member does.

A model that is moved can free room for one that was passed over before; the remaining turns are then computed again.
The result is the same as trying each model one by one; `tests/reference` compares the two.
"""

from collections import deque

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import Model
from processor.cluster.headroom import upper_bound
from processor.cluster.indexes import BROKEN, PARTLY, demand_by, required, waiting_of
from processor.cluster.lifecycle import LOAD_FAILED
from processor.cluster.placement import has_room, place_if_better

Turn = tuple[int, str]
"""Since when a model waits, and its name; turns are taken in ascending order."""


def retry_waiting(draft: Draft) -> None:
    """Try every waiting model in its turn; groups that cannot find a server are passed over."""
    if not draft.waiting and not any(waiting_of(draft.models[name]) for name in draft.indexes_stale):
        return
    draft.sync_indexes()
    turns = deque(_turns(draft))
    while turns:
        turn = turns.popleft()
        model = draft.model(turn[1])
        if model is None:
            continue
        latest = model.versions[-1]
        if latest.server or latest.replicas:
            if _retry(draft, model):  # it may have left room for models that were passed over
                turns = deque([other for other in _turns(draft) if other > turn])
        elif required(latest) <= upper_bound(draft.headroom, demand_by(latest)):
            place_if_better(draft, model, latest)


def _turns(draft: Draft) -> list[Turn]:
    """Return the turns of the models that may find a server; the smallest member decides for its group."""
    names: list[str] = []
    for demand, members in draft.waiting.items():
        if demand == BROKEN:
            names += members if draft.replica_connected else ()
        elif demand == PARTLY or has_room(draft, demand, min(members.values())):
            names += members
    return sorted([(_waiting_since(draft, name), name) for name in names])


def _waiting_since(draft: Draft, name: str) -> int:
    failure = draft.failure(f"model/{name}")
    if failure is not None:
        return failure.since_ms
    model = draft.model(name)
    return model.versions[-1].status_since_ms if model is not None else draft.at_ms


def _retry(draft: Draft, model: Model) -> bool:
    """Try a model that is bound; entries that failed to load only when a server replica connects."""
    latest = model.versions[-1]
    if not any(replica.state == LOAD_FAILED for replica in latest.replicas):
        return place_if_better(draft, model, latest)
    if draft.replica_connected and _attempts(draft, model.name) < draft.policy.retry_limit:
        rest = tuple([replica for replica in latest.replicas if replica.state != LOAD_FAILED])
        better = place_if_better(draft, model, replace(latest, replicas=rest))
        if better:
            _count_attempt(draft, model.name)
        return better
    return latest.placement_failure is not None and place_if_better(draft, model, latest)


def _attempts(draft: Draft, name: str) -> int:
    failure = draft.failure(f"model/{name}")
    return failure.attempts if failure is not None else 0


def _count_attempt(draft: Draft, name: str) -> None:
    key = f"model/{name}"
    failure = draft.failure(key)
    if failure is not None:
        draft.failures[key] = replace(failure, attempts=failure.attempts + 1)

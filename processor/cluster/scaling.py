"""Scale requests: when a server should have more or fewer replicas. An operator acts on the announcement."""

from msgspec.structs import replace

from processor.cluster.draft import NOTHING, Draft
from processor.cluster.entities import Server, Version


def ask_for_more(draft: Draft, server_name: str, version: Version) -> None:
    """Request as many replicas as the version, or another one bound to the server, wants, at most its maximum."""
    server = draft.server(server_name)
    if server is None or not draft.policy.server_autoscaling or server.expected_replicas < 0 or server.max_replicas < 1:
        return
    wanted = max(hosted_demand(draft, server_name), version.deployment.replicas)
    target = min(wanted, server.max_replicas)
    if target <= server.expected_replicas or (server.requested_replicas or 0) >= target:
        return
    draft.put_server(replace(server, requested_replicas=target))


def ask_for_fewer(draft: Draft, server: Server) -> None:
    """Request fewer replicas of a server that an entry just left, if some are empty or models can be packed."""
    outstanding = server.requested_replicas is not None and server.requested_replicas > server.expected_replicas
    if outstanding or server.expected_replicas <= 1 or not draft.policy.server_autoscaling:
        return
    least = max(server.min_replicas, 1)
    target = server.expected_replicas
    empty = _empty_replicas(draft, server)
    if empty:
        target = max(least, server.expected_replicas - empty)
    hosted = hosted_demand(draft, server.name) if draft.policy.pack_servers else 0
    if hosted:
        target = min(target, max(least, hosted))
    if target < server.expected_replicas:
        draft.put_server(replace(server, requested_replicas=target))


def hosted_demand(draft: Draft, server_name: str) -> int:
    """Return the most replicas that a model whose latest version is bound to the server wants, 0 if there is none."""
    draft.sync_indexes()
    demand = draft.demand.get(server_name)
    return max(demand) if demand is not None else 0


def _empty_replicas(draft: Draft, server: Server) -> int:
    draft.sync_indexes()
    usage, empty = draft.usage.get(server.name, NOTHING), 0
    for replica in server.replicas:
        load = usage.get(replica.index)
        if load is None or load.occupied == 0:
            empty += 1
    return empty

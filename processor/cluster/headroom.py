"""What placement remembers of servers that could not take a version, so that it need not look at them again.

This is no state: without it every placement would come out the same, only later. It is made of upper bounds, which stay
true while servers fill up. A server must be `forgotten` when it changes otherwise, or when one replica of it has more
free than the lowest of its bounds; when servers come or go, all of them.
"""

from bisect import bisect_right
from typing import Final

from immutables import Map
from msgspec import Struct

Demand = tuple[str, tuple[str, ...], int]
"""Pinned server ("" = any), requirements, and how many replicas at least."""

DEMANDS_MAX: Final = 512
"""So many different demands are remembered; with one more the memory begins anew."""

PLACEMENT_FAILURES_MAX: Final = 32
"""So many different placement failures are remembered; with one more that memory begins anew."""

BLOCK_SERVERS: Final = 16
"""So many servers, neighbours by name, are passed over at once."""

ANY: Final = 1 << 128
"""More bytes than a version can need: the bound where none is known."""


NOTHING_FITS: Final = -1
"""The bound of a server that does not have enough replicas for the demand, whatever is free."""


class Headroom(Struct, frozen=True, gc=False):
    """For one demand: whoever needs more bytes than a bound does not find enough replicas there.

    `servers` server → bound · `blocks` place of a block's first server → the greatest bound in the block · `most` the
    greatest of all. A block has a bound only if all its servers have one, all have one only if all blocks have.
    """

    servers: "Map[str, int]" = Map()
    blocks: "Map[int, int]" = Map()
    most: int = ANY


class HeadroomCache(Struct, frozen=True, gc=False):
    """Each demand's room, and `lowest`: server → the least of its bounds for any of them."""

    demands: "Map[Demand, Headroom]" = Map()
    lowest: "Map[str, int]" = Map()

    def of(self, demand: Demand) -> Headroom:
        """Return what is known for a demand."""
        room: Headroom = self.demands.get(demand, UNKNOWN)
        return room


UNKNOWN: Final = Headroom()
EMPTY_CACHE: Final = HeadroomCache()


def upper_bound(headroom: HeadroomCache, demand: Demand) -> int:
    """Return the bound of all servers that the demand allows."""
    room = headroom.of(demand)
    bound: int = room.servers.get(demand[0], ANY) if demand[0] else room.most
    return bound


def with_bound(headroom: HeadroomCache, demand: Demand, server: str, bound: int) -> HeadroomCache:
    """Return the memory with a server's bound for a demand."""
    room = headroom.of(demand)
    if room.servers.get(server) == bound:
        return headroom
    if room is UNKNOWN and len(headroom.demands) >= DEMANDS_MAX:
        headroom = EMPTY_CACHE
    changed = Headroom(room.servers.set(server, bound), room.blocks, room.most)
    lowest = min(bound, headroom.lowest.get(server, ANY))
    return HeadroomCache(headroom.demands.set(demand, changed), headroom.lowest.set(server, lowest))


def with_block_bound(headroom: HeadroomCache, demand: Demand, start: int, names: tuple[str, ...]) -> HeadroomCache:
    """Return the memory with the bound of the block that starts there, if each of its servers has one."""
    room = headroom.of(demand)
    bounds = [room.servers.get(name, ANY) for name in names[start : start + BLOCK_SERVERS]]
    most = max(bounds)
    if most is ANY:
        return headroom
    blocks = room.blocks.set(start, most)
    known = len(blocks) * BLOCK_SERVERS >= len(names)
    changed = Headroom(room.servers, blocks, max(blocks.values()) if known else ANY)
    return HeadroomCache(headroom.demands.set(demand, changed), headroom.lowest)


def without_server(headroom: HeadroomCache, server: str, names: tuple[str, ...]) -> HeadroomCache:
    """Return the memory without a server."""
    if server not in headroom.lowest:
        return headroom
    demands = headroom.demands
    for demand, room in demands.items():
        if server in room.servers:
            demands = demands.set(demand, _without(room, server, names))
    return HeadroomCache(demands, headroom.lowest.delete(server))


def _without(room: Headroom, server: str, names: tuple[str, ...]) -> Headroom:
    start = (bisect_right(names, server) - 1) // BLOCK_SERVERS * BLOCK_SERVERS
    blocks = room.blocks.delete(start) if start in room.blocks else room.blocks
    return Headroom(room.servers.delete(server), blocks, ANY)

"""A cache of upper bounds: how much memory a server can still offer, so that placement skips servers that are full.

Placement looks for the first server, by name, with enough suitable replicas. With thousands of full servers that scan
would dominate every load request. The cache makes it cheap to pass over them:

* A *demand* is what a version asks for besides the size: pinned server, requirements, least number of replicas. For
  each demand and server the cache holds a bound in bytes: whoever needs more per replica does not find enough replicas
  there. A failed look at a server teaches its bound (`placement._learn`).
* Servers are grouped in blocks of `BLOCK_SERVERS` neighbours by name. The bound of a block is the greatest of its
  servers', that of all (`most`) the greatest of the blocks'; a block or the whole is passed over with one comparison.
  Both exist only while all their parts have bounds.

**Invariants.** The cache is no part of the state: it never changes a result, only the time to find it, and it is
neither stored nor compared. A bound may be too high, never too low. Servers that fill up keep their bounds true;
everything that can free memory must drop them (`without_server`; `draft` does it): a replica that connects, reports
more memory, or has more free than `lowest`, the least of the server's bounds. When servers come or go the blocks shift
and the whole cache is dropped (`EMPTY_CACHE`). Sizes are limited: beyond `DEMANDS_MAX` demands it starts empty again.
"""

from bisect import bisect_right
from typing import Final

from immutables import Map
from msgspec import Struct

Demand = tuple[str, tuple[str, ...], int]
"""Pinned server ("" = any), requirements, and how many replicas at least."""

DEMANDS_MAX: Final = 512
"""Limit of the demands in the cache; one more, and it starts empty again."""

PLACEMENT_FAILURES_MAX: Final = 32
"""Limit of the placement failures that the state caches by pinned server; one more, and they start empty again."""

BLOCK_SERVERS: Final = 16
"""Servers in a block, neighbours by name, that one comparison passes over."""

ANY: Final = 1 << 128
"""More bytes than a version can need: the bound of a server that is not known."""

NOTHING_FITS: Final = -1
"""The bound of a server that lacks suitable replicas for the demand, whatever memory is free."""


class Headroom(Struct, frozen=True, gc=False):
    """The bounds for one demand, in bytes a replica.

    `servers` server → bound · `blocks` position of a block's first server → the greatest bound in it · `most` the
    greatest of all, ANY while some block has none.
    """

    servers: "Map[str, int]" = Map()
    blocks: "Map[int, int]" = Map()
    most: int = ANY


class HeadroomCache(Struct, frozen=True, gc=False):
    """The bounds of each demand, and `lowest`: server → the least of its bounds for any demand."""

    demands: "Map[Demand, Headroom]" = Map()
    lowest: "Map[str, int]" = Map()

    def of(self, demand: Demand) -> Headroom:
        """Return the bounds for a demand; UNKNOWN without any."""
        known: Headroom = self.demands.get(demand, UNKNOWN)
        return known


UNKNOWN: Final = Headroom()
EMPTY_CACHE: Final = HeadroomCache()


def upper_bound(headroom: HeadroomCache, demand: Demand) -> int:
    """Return the bound over all servers that the demand allows, in bytes a replica."""
    known = headroom.of(demand)
    bound: int = known.servers.get(demand[0], ANY) if demand[0] else known.most
    return bound


def with_bound(headroom: HeadroomCache, demand: Demand, server: str, bound: int) -> HeadroomCache:
    """Return the cache with the bound of a server for a demand."""
    known = headroom.of(demand)
    if known.servers.get(server) == bound:
        return headroom
    if known is UNKNOWN and len(headroom.demands) >= DEMANDS_MAX:
        headroom = EMPTY_CACHE
    changed = Headroom(known.servers.set(server, bound), known.blocks, known.most)
    lowest = min(bound, headroom.lowest.get(server, ANY))
    return HeadroomCache(headroom.demands.set(demand, changed), headroom.lowest.set(server, lowest))


def with_block_bound(headroom: HeadroomCache, demand: Demand, start: int, names: tuple[str, ...]) -> HeadroomCache:
    """Return the cache with the bound of the block that starts at a position, if each of its servers has one."""
    known = headroom.of(demand)
    bounds = [known.servers.get(name, ANY) for name in names[start : start + BLOCK_SERVERS]]
    most = max(bounds)
    if most is ANY:
        return headroom
    blocks = known.blocks.set(start, most)
    complete = len(blocks) * BLOCK_SERVERS >= len(names)
    changed = Headroom(known.servers, blocks, max(blocks.values()) if complete else ANY)
    return HeadroomCache(headroom.demands.set(demand, changed), headroom.lowest)


def without_server(headroom: HeadroomCache, server: str, names: tuple[str, ...]) -> HeadroomCache:
    """Return the cache without the bounds of a server."""
    if server not in headroom.lowest:
        return headroom
    demands = headroom.demands
    for demand, known in demands.items():
        if server in known.servers:
            demands = demands.set(demand, _without(known, server, names))
    return HeadroomCache(demands, headroom.lowest.delete(server))


def _without(known: Headroom, server: str, names: tuple[str, ...]) -> Headroom:
    start = (bisect_right(names, server) - 1) // BLOCK_SERVERS * BLOCK_SERVERS
    blocks = known.blocks.delete(start) if start in known.blocks else known.blocks
    return Headroom(known.servers.delete(server), blocks, ANY)

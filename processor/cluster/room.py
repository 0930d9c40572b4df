"""What placement remembers of servers that could not take a version, so that it need not look at them again.

This is no state: without it every placement would come out the same, only later. All of it are upper bounds, which stay
true while servers fill up; what frees memory or changes a server otherwise must be told with `freed` or `forgotten`,
and when servers come or go all is forgotten.
"""

from bisect import bisect_right
from typing import Final, TypeAlias

from immutables import Map
from msgspec import Struct

Demand = tuple[str, tuple[str, ...], int]
"""Pinned server ("" = any), requirements, and how many replicas at least."""

DEMANDS_MAX: Final = 32
"""So many different demands are remembered; with one more the memory begins anew."""

BLOCK_SERVERS: Final = 16
"""So many servers, neighbours by name, are passed over at once."""

ANY: Final = 1 << 128
"""More bytes than a version can need: the bound where none is known."""


NOTHING_FITS: Final = -1
"""The bound of a server that does not have enough replicas for the demand, whatever is free."""


class Room(Struct, frozen=True, gc=False):
    """For one demand: whoever needs more bytes than a bound does not find enough replicas there.

    `servers` server → bound · `blocks` place of a block's first server → the greatest bound in the block · `most` the
    greatest of all. A block has a bound only if all its servers have one, all have one only if all blocks have.
    """

    servers: "Map[str, int]" = Map()
    blocks: "Map[int, int]" = Map()
    most: int = ANY


Rooms: TypeAlias = "Map[Demand, Room]"

UNKNOWN: Final = Room()
NO_ROOMS: Final[Rooms] = Map()


def most_room(rooms: Rooms, demand: Demand) -> int:
    """Return the bound of all servers that the demand allows."""
    room: Room = rooms.get(demand, UNKNOWN)
    if not demand[0]:
        return room.most
    bound: int = room.servers.get(demand[0], ANY)
    return bound


def learned(rooms: Rooms, demand: Demand, server: str, bound: int) -> Rooms:
    """Return the memory with a server's bound for a demand."""
    room = rooms.get(demand, UNKNOWN)
    if room.servers.get(server) == bound:
        return rooms
    if room is UNKNOWN and len(rooms) >= DEMANDS_MAX:
        rooms = NO_ROOMS
    return rooms.set(demand, Room(room.servers.set(server, bound), room.blocks, room.most))


def summed_up(rooms: Rooms, demand: Demand, start: int, names: tuple[str, ...]) -> Rooms:
    """Return the memory with the bound of the block that starts there, if each of its servers has one."""
    room = rooms.get(demand, UNKNOWN)
    bounds = [room.servers.get(name, ANY) for name in names[start : start + BLOCK_SERVERS]]
    most = max(bounds)
    if most is ANY:
        return rooms
    blocks = room.blocks.set(start, most)
    known = len(blocks) * BLOCK_SERVERS >= len(names)
    return rooms.set(demand, Room(room.servers, blocks, max(blocks.values()) if known else ANY))


def freed(rooms: Rooms, server: str, free: int, names: tuple[str, ...]) -> Rooms:
    """Return the memory after so many bytes came to be free on one replica of a server."""
    for demand, room in rooms.items():
        if room.servers.get(server, ANY) < free:
            rooms = rooms.set(demand, _without(room, server, names))
    return rooms


def forgotten(rooms: Rooms, server: str, names: tuple[str, ...]) -> Rooms:
    """Return the memory without a server."""
    for demand, room in rooms.items():
        if server in room.servers:
            rooms = rooms.set(demand, _without(room, server, names))
    return rooms


def _without(room: Room, server: str, names: tuple[str, ...]) -> Room:
    start = (bisect_right(names, server) - 1) // BLOCK_SERVERS * BLOCK_SERVERS
    blocks = room.blocks.delete(start) if start in room.blocks else room.blocks
    return Room(room.servers.delete(server), blocks, ANY)

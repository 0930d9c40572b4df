"""The places at which a test may end, stop, delay or fail a process that runs shards.

A failpoint calls the function that was handed in; outside tests that is `never`, which does nothing. A place is
passed once a batch, commit or output transaction, never once an event.
"""

from collections.abc import Callable
from typing import Literal

Point = Literal[
    "after_take",
    "after_decode",
    "after_reduce",
    "in_dead_letter",
    "before_commit",
    "after_part",
    "after_commit",
    "before_begin_transaction",
    "half_produced",
    "after_produce",
    "before_commit_transaction",
    "after_commit_transaction",
    "before_trim",
    "after_trim",
    "before_group_offsets",
    "in_takeover",
    "in_tail_read",
    "in_shutdown",
]
"""Where a batch, its commit and its announcements stand when the place is passed:

after_take, after_decode, after_reduce   taken from the lanes; decoded; reduced and encoded, nothing sent
in_dead_letter                           reduced, and a record of the batch is put aside
before_commit, after_commit              about to be sent; the store's answer is known, nobody was told of it
after_part                               a part of a staged commit is in the store, what makes it true is not
before_begin_transaction                 a group of commits is about to be published
half_produced, after_produce             half of its records, all of them are handed to the producer
before_commit_transaction                as after_produce, of a transaction alone
after_commit_transaction                 published, not acknowledged to the publisher
before_trim, after_trim                  an idle owner's transaction that trims: about to be sent; its answer is known
before_group_offsets                     the positions are about to be told to lag tools
in_takeover                              owned, older writers fenced, the snapshot read, nothing published or assigned
in_tail_read                             the output's tails are read, whether the shard is still ours is not asked yet
in_shutdown                              handing over: the last commit is settled, what waits is not published

The store in memory passes neither after_part nor before_trim.
"""

Failpoint = Callable[[Point], None]


def never(point: Point) -> None:
    """Pass a place: nothing happens."""
    del point

"""What a shard is run with, handed in as one value."""

from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from processor.engine.failpoints import Failpoint, never
from processor.engine.limits import Limits
from processor.engine.machine import StateMachine
from processor.engine.ports import Clock, Encoder, EventDecoder, Ownership, Sink, Source, Store, Ticker
from processor.engine.reports import Middleware
from processor.engine.values import Identity


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The ports, the state machine and the settings of one shard. Without `ticker`, ticks are left to others.

    `start` (earliest or latest) matters at the first start only. `cluster_key`: with more than one partition, the
    only key that records may have; None: the key is not looked at. `speculate`: reduce the next batch while a
    commit is under way. `announce_in_background`: publish from a thread of its own.
    `loaded` is called when a state was loaded that will live long. `pressure` says why commits should pause (a store
    almost full), empty: they need not. `trouble` says that the inputs are away, empty: they are not.
    `left_s` returns how long what begins now may take: without end until the process is asked to stop.
    `log` receives (event name, fields) for people. `failpoint` is called where a test may let something go wrong.
    """

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    encoder: Encoder
    store: Store
    source: Source
    sink: Sink
    ownership: Ownership
    clock: Clock
    identity: Identity
    limits: Limits
    ticker: Ticker | None = None
    middleware: tuple[Middleware, ...] = ()
    start: str = "earliest"
    cluster_key: bytes | None = None
    speculate: bool = False
    announce_in_background: bool = False
    loaded: Callable[[], None] = lambda: None
    pressure: Callable[[], str] = lambda: ""
    trouble: Callable[[], str] = lambda: ""
    left_s: Callable[[], float] = lambda: inf
    log: Callable[..., None] = lambda _event, **_fields: None
    failpoint: Failpoint = never

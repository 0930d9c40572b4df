"""What a shard is run with: its ports, its settings and the callbacks of whoever runs it."""

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


class Callbacks(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine calls, and what it asks, while it runs a shard; the defaults do nothing.

    `middleware` sees the report of each step. `log` receives (event name, fields) for people. `loaded` is called when a
    state was loaded that will live long. `pressure` says why commits should pause (a store almost full), `trouble` that
    the inputs are away; both are empty when all is well. `left_s` returns how long what begins now may take, inf until
    the process is asked to stop. `failpoint` is called where a test may inject a fault.
    """

    middleware: tuple[Middleware, ...] = ()
    log: Callable[..., None] = lambda _event, **_fields: None
    loaded: Callable[[], None] = lambda: None
    pressure: Callable[[], str] = lambda: ""
    trouble: Callable[[], str] = lambda: ""
    left_s: Callable[[], float] = lambda: inf
    failpoint: Failpoint = never


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The ports, the state machine and the settings of one shard. Without `ticker`, ticks are left to others.

    `start` (earliest or latest) matters at the first start only. `cluster_key`: with more than one partition, the
    only key that records may have; None: the key is not looked at. `speculate`: reduce the next batch while a
    commit is under way. `announce_in_background`: publish from a thread of its own.
    """

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    encoder: Encoder
    store: Store
    source: Source
    sink: Sink
    ownership: Ownership
    clock: Clock
    ticker: Ticker | None = None
    identity: Identity
    limits: Limits
    start: str = "earliest"
    cluster_key: bytes | None = None
    speculate: bool = False
    announce_in_background: bool = False
    callbacks: Callbacks = Callbacks()

"""A state that moves from commit to commit, by the same functions that the engine moves it with. No I/O."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import msgspec

from processor.engine.announcements import CommitRecord, Outcome, OutcomeRun
from processor.engine.digest import MODULUS, digest_hex, entity_digest
from processor.engine.inputs import Decoded, Record
from processor.engine.machine import Change, StateMachine
from processor.engine.ports import Encoder, EventDecoder
from processor.engine.reduction import Reduction, reduce_batch
from processor.engine.sizes import SizeCheck, SizeLimits


class Build(msgspec.Struct, frozen=True):
    """The state machine that folds, and the codec of its events and entities."""

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    encoder: Encoder


class Fold:
    """One state and its digest; a commit costs what it changes.

    The digest is a sum over entities modulo 2¹²⁸, so of each entity only its summand is kept beside the state.
    `reduce` moves the state by events, `put` by the values that entities are known to have afterwards.
    """

    def __init__(self, build: Build, state: Any = None) -> None:
        self._build = build
        self._put: dict[str, Any] = {}
        self._state = build.machine.empty() if state is None else state
        self._summands = self._summed()
        self._sum = sum(self._summands.values())

    @property
    def state(self) -> Any:
        """The state as it is now."""
        self._settle()
        return self._state

    @property
    def digest(self) -> str:
        """The digest of the state, 32 hex digits."""
        self._settle()
        return digest_hex(self._sum % MODULUS)

    def reduce(self, events: Sequence[Decoded], limits: SizeLimits) -> Reduction:
        """Reduce one commit's events under the size limits that it was made with; return the changes and outcomes."""
        self._settle()
        build = self._build
        reduction = reduce_batch(build.machine, self._state, events, entities_max=sys.maxsize)
        values = self._encoded(reduction.changes)
        check = SizeCheck(build.machine, build.encoder, limits)
        if check.may_refuse([len(value) for _, value in values if value is not None], self._state, reduction.after):
            reduction = reduce_batch(build.machine, self._state, events, entities_max=sys.maxsize, sizes=check)
            values = self._encoded(reduction.changes)
        self._add_up(values)
        self._state = reduction.after
        return reduction

    def put(self, entities: Iterable[tuple[str, Any]]) -> None:
        """Set entities (`<kind>/<name>`, None: deleted); costs nothing until state or digest are read."""
        self._put.update(entities)

    def remove_towards(self, digest: str) -> tuple[str, ...]:
        """Remove the one or two entities without which the state has this digest; return their keys, () if none fit.

        A repair announces what is in the store, not what was deleted by hand: only the digest shows that.
        """
        self._settle()
        surplus = (self._sum - int(digest, 16)) % MODULUS
        keys = {summand: key for key, summand in self._summands.items()}
        gone = (keys[surplus],) if surplus in keys else _pair(keys, surplus)
        if gone:
            self.put((key, None) for key in gone)
        return gone

    def _settle(self) -> None:
        if not self._put:
            return
        entities = dict(self._build.machine.entities(self._state)) | self._put
        self._put = {}
        self._state = self._build.machine.load((key, one) for key, one in entities.items() if one is not None)
        self._summands = self._summed()
        self._sum = sum(self._summands.values())

    def _summed(self) -> dict[str, int]:
        encode, body = self._build.encoder.encode, self._build.encoder.body
        entities = self._build.machine.entities(self._state)
        return {key: entity_digest(key, body(encode(key, entity))) for key, entity in entities}

    def _encoded(self, changes: Iterable[Change]) -> list[tuple[str, bytes | None]]:
        encode = self._build.encoder.encode
        return [(one.key, None if one.after is None else encode(one.key, one.after)) for one in changes]

    def _add_up(self, values: Iterable[tuple[str, bytes | None]]) -> None:
        summands, total = self._summands, self._sum
        body = self._build.encoder.body
        for key, value in values:
            total -= summands.pop(key, 0)
            if value is not None:
                after = summands[key] = entity_digest(key, body(value))
                total += after
        self._sum = total % MODULUS


def limits_of(commit: CommitRecord) -> SizeLimits:
    """Return the size limits that a commit was made with."""
    return SizeLimits(commit.entity_bytes_max, commit.value_bytes_max)


def _pair(keys: Mapping[int, str], surplus: int) -> tuple[str, ...]:
    """Return the keys of two summands with this sum, () if there are none."""
    for summand, key in keys.items():
        other = keys.get((surplus - summand) % MODULUS)
        if other is not None and other != key:
            return key, other
    return ()


def outcomes_of(runs: Iterable[OutcomeRun]) -> list[Outcome]:
    """Return the outcome of each record."""
    return list(chain.from_iterable(repeat(run.outcome, run.count) for run in runs))


def reducible(records: Sequence[Record], outcomes: Sequence[Outcome]) -> list[Record]:
    """Return the records that were reduced: all but the dead letters."""
    return [record for record, outcome in zip(records, outcomes, strict=True) if outcome != "dead_lettered"]

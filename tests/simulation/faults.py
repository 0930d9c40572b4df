"""What may go wrong, and what of it goes wrong in the run of one seed."""

from collections import Counter
from collections.abc import Collection, Mapping
from random import Random

RATES: Mapping[str, float] = {
    # store: one draw a request
    "commit applied, reply lost": 0.15,
    "commit lost": 0.15,
    "commit delayed": 0.15,
    "store unavailable": 0.1,
    "note applied, reply lost": 0.2,
    "campaign applied, reply lost": 0.3,
    "campaign delayed": 0.3,
    "release applied, reply lost": 0.3,
    "release lost": 0.5,
    # processes: one draw a switch point
    "crash": 0.02,
    "crash with clean-up": 0.01,
    "stall": 0.02,
    # output: one draw a call
    "output committed, reply lost": 0.2,
    "output aborted": 0.2,
    "output left open": 0.2,
    "output committed late": 0.2,
    "output half committed": 0.3,
    "output half committed late": 0.3,
    "output unavailable": 0.3,
    "output opened, reply lost": 0.3,
    # inputs: one draw a call
    "input unavailable": 0.1,
    "input short": 0.5,
}
"""Faults that may strike at every call, and how often at most."""

TIMES: Mapping[str, int] = {
    "lease lost": 3,
    "stop": 4,
    "edit": 3,
    "edits in a row": 1,
    "upgrade": 1,
    "clock jump": 3,
    "pressure": 2,
    "foreign transaction": 2,
    "output emptied": 2,
    "aborted input": 4,
}
"""Faults that happen at a moment of their own, and how many times at most."""

RECORDS: Mapping[str, float] = {
    "undecodable record": 0.2,
    "invalid record": 0.2,
    "record that raises": 0.2,
    "record too large to announce": 0.1,
    "record that kills": 0.03,
}
"""What is wrong with input records, and how many of them at most."""

KINDS: tuple[str, ...] = (*RATES, *TIMES, *RECORDS)
CHOSEN_SHARE = 0.35
"""How many of all kinds one seed has, on average."""


class Faults:
    """The faults of one seed. Each kind has a chance of its own, so that leaving one out does not move the others.

    `without` are kinds left out, `always` kinds that every seed has, as strong as can be.
    """

    def __init__(self, seed: int, *, without: Collection[str] = (), always: Collection[str] = ()) -> None:
        chance = Random(f"{seed}/faults")
        self.fired: Counter[str] = Counter()
        self.active = True
        self._streams = {kind: Random(f"{seed}/{kind}") for kind in KINDS}
        self._strength: dict[str, float] = {}
        share = chance.choice((0.0, CHOSEN_SHARE, CHOSEN_SHARE, CHOSEN_SHARE, 1.0))
        for kind in KINDS:
            chosen, strength = chance.random() < share, chance.uniform(0.1, 1.0)
            if kind in always:
                self._strength[kind] = 1.0
            elif chosen and kind not in without:
                self._strength[kind] = strength

    @property
    def kinds(self) -> tuple[str, ...]:
        """What this seed has."""
        return tuple(self._strength)

    def strikes(self, kind: str) -> bool:
        """Return whether it happens now. `kind` is one of RATES."""
        return self.first(kind) is not None

    def first(self, *kinds: str) -> str | None:
        """Return which of these happens now, if any; a draw is made for every one of them."""
        struck = [kind for kind in kinds if self._is_drawn(kind, RATES)]
        if not struck:
            return None
        self.fired[struck[0]] += 1
        return struck[0]

    def spoils(self, kind: str) -> bool:
        """Return whether the record at hand is to be spoilt so. `kind` is one of RECORDS."""
        spoilt = self._is_drawn(kind, RECORDS)
        self.fired[kind] += spoilt
        return spoilt

    def moments(self, kind: str, *, duration_ms: float) -> list[float]:
        """Return when it happens within `duration_ms`. `kind` is one of TIMES."""
        if kind not in self._strength:
            return []
        stream = self._streams[kind]
        return sorted(stream.uniform(0, duration_ms) for _ in range(stream.randint(1, TIMES[kind])))

    def note(self, kind: str) -> None:
        """Note that a fault with a moment of its own found something to happen to."""
        self.fired[kind] += 1

    def chance(self, kind: str) -> Random:
        """Return what to draw the details of a fault from."""
        return self._streams[kind]

    def _is_drawn(self, kind: str, rates: Mapping[str, float]) -> bool:
        if not self.active or kind not in self._strength:
            return False
        return self._streams[kind].random() < rates[kind] * self._strength[kind]

"""The kill matrix: each place × each fault × one or two processes × each way in which a commit is stored."""

from dataclasses import dataclass
from itertools import product

from processor.engine.failpoints import Point
from processor.runtime.failpoints import POINTS

SLEEP_MS = 2500
"""Longer than a lease."""
ACTIONS = {"kill": "kill", "stop": "stop", "raise": "raise", "sleep": f"sleep({SLEEP_MS})"}
PROCESSES = (1, 2)
MODES = {
    "eager": {"ETCD__MATERIALISE": "eager", "ETCD__TXN_OPS_MAX": "16"},
    "overflow": {"ETCD__MATERIALISE": "auto", "ETCD__TXN_OPS_MAX": "8"},
    "staged": {"ETCD__REQUEST_BYTES_MAX": "65536"},
}

AT_TAKE_OVER = frozenset({"in_takeover", "in_tail_read"})
WHEN_IDLE = frozenset({"before_trim", "after_trim"})
AT_THE_END = frozenset({"in_shutdown"})
PASSED_BEFORE: dict[str, int] = {
    "after_take": 2,
    "after_decode": 2,
    "after_reduce": 2,
    "before_commit": 2,
    "after_commit": 2,
    "after_part": 2,
    "before_begin_transaction": 1,
    "half_produced": 1,
    "after_produce": 1,
    "before_commit_transaction": 1,
    "after_commit_transaction": 1,
    "before_group_offsets": 2,
}
"""How often a place is passed unharmed first, so that there are commits before the fault. Not more than will come."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    point: Point
    action: str
    processes: int
    mode: str

    @property
    def name(self) -> str:
        """What the test is called."""
        return f"{self.point}-{self.action}-{self.processes}-{self.mode}"

    @property
    def failpoints(self) -> str:
        """The setting that makes it happen, once."""
        passed = PASSED_BEFORE.get(self.point, 0)
        unharmed = f"{passed}*off->" if passed else ""
        return f"{self.point}={unharmed}1*{ACTIONS[self.action]}"

    @property
    def staged(self) -> bool:
        """Whether there must be commits that are larger than a transaction: a part is stored of no other."""
        return self.mode == "staged" or self.point == "after_part"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of its processes."""
        return MODES[self.mode] | (MODES["staged"] if self.staged else {})


MATRIX = [Cell(*chosen) for chosen in product(POINTS, ACTIONS, PROCESSES, MODES)]


def sample() -> list[Cell]:
    """Return a cell for each place; every pair of fault and number, fault and mode is among them."""
    actions, modes = tuple(ACTIONS), tuple(MODES)
    return [
        Cell(point, actions[number % len(actions)], PROCESSES[number // len(actions) % 2], modes[number % len(modes)])
        for number, point in enumerate(POINTS)
    ]

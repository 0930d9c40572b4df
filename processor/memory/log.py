"""One partition in memory: records, the ends of transactions between them, and what is readable."""

from itertools import islice
from typing import Literal

import msgspec

from processor.engine.inputs import Record


class PartitionOffsets(msgspec.Struct, frozen=True):
    """Low watermark (inclusive), last stable offset and high watermark (both exclusive)."""

    low: int
    stable: int
    high: int


class Transaction:
    """A transaction over any partitions; its records are hidden until it ends, for ever when it is aborted."""

    def __init__(self) -> None:
        self.status: Literal["open", "committed", "aborted"] = "open"
        self._logs: list[Log] = []

    def join(self, log: "Log", offset: int) -> None:
        """Take part with a record at `offset`."""
        if log not in self._logs:
            self._logs.append(log)
            log.hide(self, offset)

    def end(self, *, committed: bool) -> None:
        """Commit or abort; costs each partition that takes part an offset."""
        self.status = "committed" if committed else "aborted"
        for log in self._logs:
            log.reveal(self)


class Log:
    """A partition. The broker's lock guards it."""

    def __init__(self) -> None:
        self._low = 0
        self._slots: list[tuple[Record | None, Transaction | None]] = []
        self._first_hidden: dict[int, int] = {}

    @property
    def extent(self) -> PartitionOffsets:
        """What is there: offsets never move, retention only raises `low`."""
        high = self._low + len(self._slots)
        return PartitionOffsets(low=self._low, stable=min(self._first_hidden.values(), default=high), high=high)

    def append(self, record: Record | None, transaction: Transaction | None) -> None:
        """Append a record, or None for the mark that ends a transaction."""
        if transaction is not None:
            transaction.join(self, self.extent.high)
        self._slots.append((record, transaction))

    def hide(self, transaction: Transaction, offset: int) -> None:
        """Keep everything from `offset` on from readers until the transaction has ended."""
        self._first_hidden[id(transaction)] = offset

    def reveal(self, transaction: Transaction) -> None:
        """Note the end of a transaction."""
        del self._first_hidden[id(transaction)]
        self._slots.append((None, None))

    def read(self, offset: int, limit: int) -> list[Record]:
        """Return at most `limit` committed records from `offset` on, below the last stable offset."""
        slots = islice(self._slots, offset - self._low, self.extent.stable - self._low)
        visible = (record for record, transaction in slots if record is not None and _is_visible(transaction))
        return list(islice(visible, limit))

    def last(self) -> Record | None:
        """Return the last committed record below the last stable offset."""
        for record, transaction in reversed(self._slots[: self.extent.stable - self._low]):
            if record is not None and _is_visible(transaction):
                return record
        return None

    def trim(self, low: int) -> None:
        """Remove the records below `low`."""
        del self._slots[: low - self._low]
        self._low = low


def _is_visible(transaction: Transaction | None) -> bool:
    return transaction is None or transaction.status == "committed"

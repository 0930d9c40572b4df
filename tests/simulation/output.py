"""The broker of a run: it archives what retention takes away, and lets somebody look on when something is committed."""

from collections.abc import Callable

from processor.engine.inputs import Record
from processor.memory.broker import MemoryBroker

EVERYTHING = 1 << 30


class OutputBroker(MemoryBroker):
    """Calls `onlooker` before a transaction is committed."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.onlooker: Callable[[], None] = lambda: None
        self._archive: dict[str, list[Record]] = {}

    def commit(self, transactional_id: str, epoch: int) -> None:
        """Make the transaction's records visible."""
        super().commit(transactional_id, epoch)
        self.onlooker()

    def empty(self, topic: str) -> bool:
        """Forget all that can be read, as retention does; return whether there was anything."""
        gone, extent = self.visible(topic), self.extent(topic, 0)
        self._archive[topic] = gone
        self.trim(topic, 0, extent.stable)
        return extent.stable > extent.low

    def is_emptied(self, topic: str) -> bool:
        """Return whether retention has left nothing there."""
        return self.extent(topic, 0).low > 0 and self.last(topic, 0) is None

    def visible(self, topic: str) -> list[Record]:
        """Return all that a read_committed consumer who never slept has seen."""
        low = self.extent(topic, 0).low
        return self._archive.get(topic, []) + self.read(topic, 0, low, EVERYTHING)

"""A batch: decoded records in their decided order, which may be cut and have a rest."""

import msgspec

from processor.engine.inputs import Decoded, Record, Undecodable


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """`records` and `decoded` go in step. `limit`: at most so many events in the next commit (0: no such limit)."""

    records: tuple[Record, ...]
    decoded: tuple[Decoded, ...]
    high: int = 0
    overtook: int = 0
    guard: bool = False
    limit: int = 0

    def __len__(self) -> int:
        return len(self.records)

    @property
    def undecoded(self) -> bool:
        """It was taken carefully and its one record is not decoded yet."""
        first = self.decoded[0]
        return isinstance(first, Undecodable) and not first.code

    def rest(self, count: int) -> "Batch | None":
        """Return what is left after the first `count` events, None when nothing is."""
        if count >= len(self.records):
            return None
        return Batch(records=self.records[count:], decoded=self.decoded[count:], guard=self.guard)

    def limited(self, limit: int) -> "Batch":
        """Return the same batch, to be cut after `limit` events."""
        return msgspec.structs.replace(self, limit=limit)

    def replaced(self, index: int, decoded: Decoded) -> "Batch":
        """Return the batch with one event judged otherwise."""
        return msgspec.structs.replace(
            self, decoded=(*self.decoded[:index], decoded, *self.decoded[index + 1 :]), limit=1
        )

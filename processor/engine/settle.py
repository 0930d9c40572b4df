"""What a refused transaction means: one rule for every answer but "succeeded". Pure."""

from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.values import HeadView


def settle(refused: HeadView, *, epoch: int, committed_seq: int) -> None:
    """Return when a reload is the answer: somebody changed the head while we own the shard.

    `committed_seq` is the highest seq that we know to be committed or published, −1 for none.
    Raises OwnershipLost (owner is not ours), ShardRefused (the store went back in time).
    """
    if refused.owner_epoch != epoch:
        raise OwnershipLost(f"the owner's epoch is {refused.owner_epoch or 'gone'}, ours was {epoch}")
    seq = -1 if refused.head is None else refused.head.seq
    if seq < committed_seq:
        raise ShardRefused(
            f"the store went back in time: its head is at seq {seq}, seq {committed_seq} was already committed; "
            "was it restored from a backup? Stop every processor; processor doctor explains the choices"
        )

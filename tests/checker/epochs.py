"""I5: whoever committed later had the higher epoch, and nothing of an older one came out afterwards."""

from collections.abc import Iterator

from tests.checker.artefacts import Artefacts


def epochs(artefacts: Artefacts) -> Iterator[str]:
    """Along seq epochs never fall, and every output record has the epoch of its commit."""
    of_seq: dict[int, int] = {}
    highest = 0
    for commit in artefacts.commits:
        epoch = commit.value["epoch"]
        if epoch < highest:
            yield f"commit {commit.value['seq']} has epoch {epoch} after one with {highest}"
        highest = max(highest, epoch)
        of_seq[commit.value["seq"]] = epoch
    if artefacts.commits and artefacts.store.head["epoch"] != highest:
        yield f"head has epoch {artefacts.store.head['epoch']}, the commit log {highest}"
    for record in (*artefacts.changes, *artefacts.dead_letters):
        if of_seq.get(record.seq) != record.epoch:
            yield (
                f"{record.record.topic} offset {record.record.offset}: epoch {record.epoch}, "
                f"commit {record.seq} has {of_seq.get(record.seq)}"
            )


def epochs_seen(artefacts: Artefacts) -> list[int]:
    """Return the distinct epochs of the commit log, in order."""
    return list(dict.fromkeys(commit.value["epoch"] for commit in artefacts.commits))

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


def fenced(artefacts: Artefacts) -> Iterator[str]:
    """Not even an aborted record of an older epoch stands behind one of a newer."""
    highest: dict[str, int] = {}
    for record in artefacts.raw:
        epoch = int(dict(record.headers)["processor-epoch"] or b"0")
        if epoch < highest.get(record.topic, 0):
            yield f"{record.topic} offset {record.offset}: epoch {epoch} was written after {highest[record.topic]}"
        highest[record.topic] = max(epoch, highest.get(record.topic, 0))


def epochs_seen(artefacts: Artefacts) -> list[int]:
    """Return the distinct epochs of the commit log, in order."""
    return list(dict.fromkeys(commit.value["epoch"] for commit in artefacts.commits))

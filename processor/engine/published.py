"""What a published record says about its place in the shard's history: the way back from `outputs`. Pure."""

from collections.abc import Mapping

from processor.engine.errors import ShardRefused
from processor.engine.inputs import Record
from processor.engine.values import COMMITS, Role, Tail

NO_NUMBER = -1


def tail_of(role: Role, record: Record | None, *, low: int) -> Tail:
    """Return what a partition's last data record says; `low` is the partition's low watermark.

    Raises ShardRefused when the record is not the processor's.
    """
    if record is None:
        return Tail(seq=None, emptied=low > 0)
    values = dict(record.headers)  # of several headers with one name the last is ours
    try:
        if role == COMMITS:
            return Tail(seq=_number(values, "processor-seq"), epoch=_number(values, "processor-epoch"))
        return Tail(
            seq=_number(values, "processor-seq"),
            epoch=_number(values, "processor-epoch"),
            index=_number(values, "processor-index"),
            count=_number(values, "processor-count"),
            number=_number(values, "processor-number") if "processor-number" in values else NO_NUMBER,
        )
    except ValueError as failure:
        raise ShardRefused(
            f"{record.topic}[{record.partition}]: the last record (offset {record.offset}) is not the processor's: "
            f"{failure}. Nobody else may write there: stop the other writer, make the topic anew and accept that with: "
            f"processor shards accept-gap SHARD --topic {record.topic}"
        ) from failure


def _number(values: Mapping[str, bytes | None], name: str) -> int:
    value = values.get(name)
    if value is None or not value.isdigit():
        raise ValueError(f"header {name} is {value!r}")
    return int(value)

"""I6: what is urgent waits for what was under way when it came and no more, and the rest is not starved by it."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from tests.checker.artefacts import Artefacts, RecordId

UNDER_WAY_MAX = 2
"""The batch that was reduced ahead, and the rest of one that was cut; the commit in flight was made before."""
HIGH_BATCHES_MAX = 8
DELIVERY_MS = 1000
"""From the acknowledgement to the processor: nothing says how long the broker took to deliver."""


def priority(artefacts: Artefacts, *, high: str, normal: str) -> Iterator[str]:
    """Judge the records of which it is known when they were acknowledged; `high` and `normal` are the inputs' names."""
    yield from _overtaken(artefacts, high, commits_max=UNDER_WAY_MAX)
    yield from _overtaken(artefacts, normal, commits_max=HIGH_BATCHES_MAX + UNDER_WAY_MAX + 1)


def _overtaken(artefacts: Artefacts, topic: str, *, commits_max: int) -> Iterator[str]:
    """Tell which records of a topic saw too many commits without any of that topic before their own."""
    made_ms = list(accumulate((commit.value["committed_ms"] for commit in artefacts.commits), max))
    without = [0, *accumulate(_has_none(commit.value["ranges"], topic) for commit in artefacts.commits)]
    for place, number in _consumed_by(artefacts, topic):
        if place not in artefacts.acknowledged_ms:
            continue
        first = bisect_right(made_ms, artefacts.acknowledged_ms[place] + DELIVERY_MS)
        passed = without[number] - without[min(first, number)]
        if passed > commits_max:
            yield f"{topic} offset {place[2]} was passed by {passed} commits without any record of {topic}"


def _has_none(ranges: Sequence[dict[str, object]], topic: str) -> int:
    return int(all(part["topic"] != topic for part in ranges))


def _consumed_by(artefacts: Artefacts, topic: str) -> Iterator[tuple[RecordId, int]]:
    """Yield each place of a topic and the number of the commit, from 0, that consumed it."""
    for number, commit in enumerate(artefacts.commits):
        for part in commit.value["ranges"]:
            if part["topic"] == topic:
                for offset in range(part["from"], part["to"]):
                    yield (topic, part["partition"], offset), number

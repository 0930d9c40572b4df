"""Moving positions on an operator's command: a hole in the inputs is accepted, or records are read again.

The commit that does it has kind `gap`: one range a moved partition, without records and outcomes, so that the
commit log shows where reading went on; its end may lie below its start.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from processor.engine.compose import Stamp, UnstampedCommit, compose
from processor.engine.errors import InvalidRequest
from processor.engine.images import Encoded
from processor.engine.inputs import Range, TopicFacts, Watermarks
from processor.engine.operator.transaction import known_head, owned, settled
from processor.engine.parts import Parts
from processor.engine.positions import advanced, reached
from processor.engine.values import AuditEntry, Commit, Head, Snapshot

Targets = Mapping[tuple[str, int], int]
"""(topic, partition) → the next offset to be read."""


class Move(msgspec.Struct, frozen=True):
    """What a gap commit would do: `topics` (name → id) are taken for the ones they are now, made anew as they were."""

    head: Head
    ranges: tuple[Range, ...]
    topics: Mapping[str, str]

    @property
    def needed(self) -> bool:
        """Something would change."""
        return bool(self.ranges or self.topics)


Planner = Callable[[Head, TopicFacts], Move]


def plan_move(head: Head, facts: TopicFacts, targets: Targets, *, topics: Collection[str]) -> Move:
    """Return how the positions get to their targets; of `topics` the ids of now are taken. Pure.

    Raises InvalidRequest for a target that the broker does not have.
    """
    ranges, standing = [], reached(head)
    for (topic, partition), target in sorted(targets.items()):
        marks = _marks(facts, topic, partition)
        if not marks.low <= target <= marks.high:
            raise InvalidRequest(
                f"{topic}[{partition}] holds offsets {marks.low} to {marks.high}: {target} is not there"
            )
        start = head.positions.get(topic, {}).get(partition, 0)
        if start != target and target != standing.get(topic, {}).get(partition):
            ranges.append(Range(topic, partition, start, target, 0))
    renewed = {name: facts.topic_ids[name] for name in sorted(topics) if facts.topic_ids[name] != head.topics.get(name)}
    return Move(head, tuple(ranges), renewed)


def plan_acceptance(head: Head, facts: TopicFacts, topic: str, target: int | None, *, partition: int) -> Move:
    """Return how a hole of one topic is accepted, or (without a target) an output topic that was made anew. Pure.

    Raises InvalidRequest: a topic without or with a target that needs the contrary; a target that is not there; one
    before the position, where nothing is missing.
    """
    if topic not in facts.topic_ids:
        raise InvalidRequest(f"there is no topic {topic}: {', '.join(facts.topic_ids)}")
    if (topic, partition) not in facts.inputs:
        if target is not None:
            raise InvalidRequest(f"{topic} is an output, nothing is read from it: leave out the offset")
        return plan_move(head, facts, {}, topics=(topic,))
    marks = _marks(facts, topic, partition)
    if target is None:
        raise InvalidRequest(
            f"where shall reading go on? {topic}[{partition}] holds offsets {marks.low} to {marks.high}"
        )
    position = reached(head).get(topic, {}).get(partition, 0)
    is_whole = marks.low <= position <= marks.high and facts.topic_ids[topic] == head.topics.get(topic)
    if is_whole and target < position:
        raise InvalidRequest(
            f"{topic}[{partition}]: the next offset is {position}, which is there: no hole. "
            "To read records again: processor offsets reset"
        )
    return plan_move(head, facts, {(topic, partition): target}, topics=(topic,))


def move(parts: Parts, plan: Planner, *, action: str, by: str) -> Move:
    """Commit what `plan` says of the head and the topics as they are once the shard is ours; the plan comes back.

    Raises OwnershipLost (owned elsewhere), ShardRefused, InvalidRequest, SourceUnavailable, StoreUnavailable,
    OutcomeUnknown.
    """
    facts = parts.source.facts()
    with owned(parts) as epoch:
        snapshot = parts.store.load()
        planned = plan(known_head(parts, snapshot), facts)
        if planned.needed:
            settled(parts, parts.store.send(_commit(parts, snapshot, planned, epoch=epoch, action=action, by=by)))
        return planned


def _commit(parts: Parts, snapshot: Snapshot, planned: Move, *, epoch: int, action: str, by: str) -> Commit:
    """Return the gap commit: the state is not looked at, so it keeps its digest and its reducer version."""
    head, now_ms = planned.head, parts.clock.now_ms()
    unstamped = UnstampedCommit(
        kind="gap",
        after=None,
        encoded=Encoded((), int(head.digest, 16), 0),
        ranges=planned.ranges,
        positions=advanced(head.positions, planned.ranges),
    )
    stamp = Stamp(
        head=head,
        revision=snapshot.head_revision,
        epoch=epoch,
        now_ms=now_ms,
        commit_id=f"{epoch}-{action}",
        announced_seq=head.announced_seq,
    )
    identity = msgspec.structs.replace(parts.identity, reducer_version=head.reducer_version)
    commit = compose(unstamped, stamp, identity=identity, encoder=parts.encoder)
    # what was known of a topic does not hold for the one made anew
    scanned = {topic: ends for topic, ends in commit.head.scanned.items() if topic not in planned.topics}
    renewed = msgspec.structs.replace(commit.head, topics=head.topics | dict(planned.topics), scanned=scanned)
    return msgspec.structs.replace(
        commit, head=renewed, audit=AuditEntry(now_ms, action, by, renewed.seq, facts_of(planned))
    )


def facts_of(planned: Move) -> dict[str, Any]:
    """Return a move as plain JSON."""
    moved = [
        {"topic": item.topic, "partition": item.partition, "from": item.start, "to": item.end}
        for item in planned.ranges
    ]
    return {"moved": moved, "topics": dict(planned.topics)}


def _marks(facts: TopicFacts, topic: str, partition: int) -> Watermarks:
    try:
        return facts.inputs[topic, partition]
    except KeyError:
        raise InvalidRequest(f"{topic}[{partition}] is no input of this shard") from None

"""Inputs that are wrong: what is urgent waits behind what is not."""

from processor.engine.inputs import HIGH, NORMAL, LaneName, Record
from tests.engine.world import TOPICS, ManualSource, World

FLOOD = 200


class OneQueue(ManualSource):
    """Has one consumer for both topics, whose queue is full of what came first."""

    def take(self, lane: LaneName, limit: int) -> list[Record]:
        if lane == HIGH:
            return []
        records = super().take(NORMAL, limit)
        return records + super().take(HIGH, limit - len(records))


def commits_before_the_high_record(source_type: type[ManualSource]) -> int:
    """Return how many commits come before the one with a high record that was sent behind a flood of normal ones."""
    world = World(batch_events_max=10)
    for number in range(FLOOD):
        world.submit("DeviceReported", device="flood", reading=number)
    world.submit("DeviceReported", device="urgent", reading=1, high=True)
    inputs: dict[LaneName, str] = {HIGH: "high", NORMAL: "normal"}
    world.run(world.parts(source=source_type(world.clock, world.broker, inputs, list(TOPICS.values()))))
    urgent = [any(part.topic == "high" for part in commit.ranges) for commit in world.commits()]
    return urgent.index(True)


def test_one_queue_for_both_lanes_lets_a_high_record_wait_behind_the_flood() -> None:
    assert commits_before_the_high_record(ManualSource) == 0
    assert commits_before_the_high_record(OneQueue) > FLOOD // 20

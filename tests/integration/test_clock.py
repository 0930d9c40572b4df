"""The running processor wakes its state machine by itself."""

from tests.integration.play import Play, now_ms
from tests.integration.submitter import Line
from tests.waiting import wait_until

RETRY_INTERVAL_MS = 300
POLICY = {
    "retry_interval_ms": RETRY_INTERVAL_MS,
    "retry_limit": 3,
    "tombstone_ttl_ms": 86_400_000,
    "scale_down_stabilisation_ms": 60_000,
    "model_autoscaling": True,
    "server_autoscaling": True,
    "pack_servers": False,
}


def test_a_failed_placement_is_tried_again_by_ticks_until_its_limit(play: Play) -> None:
    play.stage.start(CLOCK__INTERVAL_MS="100")
    play.send([_line(play, "high", "PolicyChanged", POLICY)])
    play.send([_line(play, "normal", "ModelLoadRequested", {"model": "iris", "spec": {"uri": "s3://iris"}})])

    def attempts() -> int:
        value = play.store.keys().get("state/failure/model/iris")
        if value is None:
            return 0
        return int(play.reference.schemas.decode(value)[1]["attempts"])

    wait_until(lambda: attempts() == 3, what="three retries by ticks")
    play.assert_whole()


def _line(play: Play, lane: str, name: str, data: object) -> Line:
    return Line(lane, play.reference.schemas.encode(f"processor.events.{name}", data), now_ms())  # type: ignore[arg-type]

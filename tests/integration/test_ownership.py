"""Several processors, one shard: who owns it, who stands by, and what a process does that wakes up too late."""

import time

from tests.checker.epochs import epochs_seen
from tests.integration.conftest import Note
from tests.integration.play import Play

EVENTS = 600
PART = 150
LONG_LEASE_S = "60"
HAND_OVER_TIMEOUT_S = 20.0
"""Far below the lease: a take-over within it was a hand-over."""


def test_a_frozen_owner_loses_the_shard_and_says_nothing_when_it_wakes(play: Play) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start()
    play.send(lines[:PART])
    first_epoch = play.store.owner_epoch()
    play.submitter.send(lines[PART : PART + 20])
    first.freeze()
    play.submitter.send(lines[PART + 20 : 2 * PART])
    second = play.stage.start()
    play.wait_for_epochs(2)
    play.wait_until_consumed()
    committed = len(play.follower.commits)
    first.thaw()
    first.wait_for_log("ownership_lost")
    play.send(lines[2 * PART :])
    first.wait_until_ready()
    artefacts = play.assert_whole()
    second_epoch = epochs_seen(artefacts)[1]
    assert epochs_seen(artefacts) == [first_epoch, second_epoch]
    assert {commit.value["epoch"] for commit in artefacts.commits[committed:]} == {second_epoch}
    assert len(second.logged("shard_taken_over")) == 1
    assert len(first.logged("shard_taken_over")) == 1


def test_a_second_process_stands_by_and_takes_over_after_a_kill(play: Play, note: Note) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start()
    play.send(lines[:PART])
    second = play.stage.start()
    second.wait_until_ready()
    assert second.logged("shard_taken_over") == []
    assert play.store.owner_epoch() == play.follower.epochs[0]
    first.kill()
    killed_s = time.monotonic()
    play.submitter.send(lines[PART:])
    play.wait_for_epochs(2)
    note(f"kill of the owner to the first commit of the standby: {time.monotonic() - killed_s:.2f} s, lease 2 s")
    play.assert_whole()


def test_a_process_asked_to_end_hands_over_without_waiting_for_its_lease(play: Play, note: Note) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start(SHARDS__LEASE_TTL_S=LONG_LEASE_S)
    play.send(lines[:PART])
    second = play.stage.start(SHARDS__LEASE_TTL_S=LONG_LEASE_S)
    second.wait_until_ready()
    play.submitter.send(lines[PART : 3 * PART])
    assert first.terminate() == 0
    left_s = time.monotonic()
    play.submitter.send(lines[3 * PART :])
    play.wait_for_epochs(2, timeout_s=HAND_OVER_TIMEOUT_S)
    note(f"end of the owner to the first commit of the standby: {time.monotonic() - left_s:.2f} s, lease 60 s")
    play.assert_whole()
    assert len(second.logged("shard_taken_over")) == 1

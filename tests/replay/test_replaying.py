"""What a run in memory recorded, folded again."""

from processor.replay.replaying import replay_to
from processor.replay.verifying import Verifier
from tests.replay.shard import lived


def test_every_commit_has_the_digest_that_was_recorded() -> None:
    shard = lived()
    verifier = Verifier()
    replayed = replay_to(shard.past().sources, shard.build, watch=verifier)
    assert verifier.findings == []
    assert verifier.compared == shard.head.seq == replayed.seq == replayed.commits
    assert replayed.head.digest == shard.head.digest
    assert (replayed.head.positions, replayed.head.announcements) == (shard.head.positions, shard.head.announcements)
    assert [(one.first, one.last, one.compared) for one in verifier.stretches] == [(1, shard.head.seq, True)]

"""Every deliberate defect, what it would do to somebody, and the test that catches it."""

from typing import NamedTuple

SIMULATION = "tests/simulation/test_bug_zoo.py::test_the_simulation_finds"
DELTAS = "tests/etcd/test_bug_zoo.py::test_random_commits_find"
SNAPSHOT = "tests/etcd/test_bug_zoo.py::test_a_commit_between_two_reads_of_a_snapshot_shows_whether_it_is_pinned"
LANES = "tests/engine/test_bug_zoo.py::test_one_queue_for_both_lanes_lets_a_high_record_wait_behind_the_flood"
HASH_SEED = "tests/simulation/test_bug_zoo.py::test_another_hash_seed_shows_the_order_of_a_set"


class Entry(NamedTuple):
    """A defect; `test` is a pytest node id, what stands in brackets there is the specimen."""

    defect: str
    harm: str
    test: str


def _simulated(specimen: str, harm: str) -> Entry:
    return Entry(specimen, harm, f"{SIMULATION}[{specimen}]")


CATALOGUE: tuple[Entry, ...] = (
    _simulated("offsets kept apart from the state", "after a crash events are skipped or applied twice"),
    _simulated("head not compared", "a late copy of a commit overwrites newer ones"),
    _simulated("owner not compared", "a process that has lost its shard goes on committing"),
    _simulated("commit id not looked at", "a commit of our own is taken for somebody else's"),
    _simulated("compares rebuilt on resend", "what somebody repaired meanwhile is overwritten"),
    _simulated("outbox outside the transaction", "a crash between the two loses announcements"),
    _simulated("published before the commit", "agents act on what never became true"),
    _simulated("trimmed before it was acknowledged", "a crash loses announcements that were never published"),
    _simulated("acknowledged before it was published", "an output that takes nothing loses announcements for good"),
    _simulated("trimmed from the publisher's thread", "two transactions are under way, and one is built on sand"),
    _simulated("producer kept after an unclear transaction", "a delayed end commits the next transaction by half"),
    _simulated("transactional id of its own", "the predecessor is not fenced and announces beside us"),
    _simulated("owner not verified", "a zombie announces what the next owner has announced already"),
    _simulated("campaign reply lost", "a process waits for ever for a shard that it owns"),
    _simulated("tried records not kept", "a record that kills is tried again for ever"),
    _simulated("undecodable skipped without a dead letter", "a record is gone and nobody knows"),
    _simulated("rejections not recorded", "a producer never learns that its event was refused"),
    _simulated("removals not told", "agents keep what was deleted"),
    _simulated("wall clock in a reducer", "the same events give another state"),
    _simulated("set order in a reducer", "the same events give another order of announcements"),
    Entry("set order, under another hash seed", "two processes disagree", f"{HASH_SEED}[SetOrder]"),
    Entry("one shared queue for both lanes", "what is urgent waits behind what is not", LANES),
    _simulated("not rewound", "after a reload events are missed"),
    _simulated("the same batch after a reload", "events are applied twice"),
    _simulated("publisher not fed by a reload", "a commit is never announced"),
    _simulated("tails not read again", "commits are announced twice"),
    _simulated("tails read uncommitted", "what was aborted is taken for announced"),
    _simulated("stable offset not compared", "an open transaction hides what was announced: it is announced twice"),
    _simulated("one tail taken for all", "a transaction committed by half is completed wrongly"),
    Entry("snapshot read without a pinned revision", "a state that never was is loaded", f"{SNAPSHOT}[UnpinnedClient]"),
    Entry("old image materialised", "an entity falls back to an older state", f"{DELTAS}[OldImageMaterialised]"),
    Entry("deltas deleted out of order", "an entity falls back, or comes back", f"{DELTAS}[DeltasOutOfOrder]"),
    Entry("removal of what a delta mentions, directly", "a deleted entity comes back", f"{DELTAS}[RemovalsDirect]"),
)

"""A shard's past computed again: recorded events folded in their recorded order, from the beginning or a snapshot.

The state generator is a pure function of a state and events, and the commit log records for each commit which records
of which inputs it reduced, in which order, with which outcome of each, under which size limits, by which version, and
the digest of the state that it left. Folding the same records in that order therefore gives the same state to the byte,
and the digests prove it commit by commit. Nothing else decides: batching, retries, conflicts and take-overs leave no
trace but the ranges of the commits that succeeded.

What is not a function of events is taken from the announcements instead (`replaying.Folding` decides how):

- repair and rebuild: edits by hand and swapped states are announced entity by entity; what was deleted by hand is not,
  and is found by the digest, which is a sum over entities (`fold.Fold.remove_towards`)
- batches of another reducer version, as long as their announcements are kept: this build may reduce them differently
- gap and upgrade: positions move, or bytes change, while the entities stay the same

Dead letters were never reduced and stay aside. A digest is compared only where this build's version made the commit:
an older version's is over other bytes.

Records must be complete: a range that retention has shortened, a hole in the commit log, a missing announcement or an
input that was created anew raise `errors.Unreplayable`, an InvalidRequest whose message names seq, topic, partition and
offsets. The modules, from the bottom:

    sources      a shard's topics, and how their records are decoded
    recording    commits in order, each with its records and announcements
    fold         one state that moves commit by commit, and its digest
    replaying    replay_to: from a start to a target, with a Step for every watcher; refold, for rebuilds
    verifying    a watcher that compares each Step with what was recorded; announcements, the bytes that were published
    whatif       two folds side by side
    snapshots    the file that a fold can start from; snapshot_writer, importing
    wiring       one shard's past on real servers; running, states: what commands do with it

For example:

    past = wiring.ShardPast(environment, shard, note)
    replayed = replaying.replay_to(past.sources, past.build, seq)          # seq None: to the end of the log
    replayed.state, replayed.seq, replayed.head.digest, replayed.head.positions
"""

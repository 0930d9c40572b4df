"""The past again: recorded events folded in their recorded order, from the beginning or from a snapshot.

What others build on:

    sources = wiring.cluster_sources(connection, topics, catalogue, shard=0)     # topics: role → name
    build = wiring.cluster_build(settings, catalogue)                            # machine, decoder, encoder
    replayed = replaying.replay_to(sources, build, seq)                          # seq None: to the end of the log
    replayed.state, replayed.seq, replayed.head.digest, replayed.head.positions, replayed.used

`replay_to(…, start=…)` begins elsewhere than at the empty state: `SnapshotDirectory(…).nearest(seq, build)` is the last
periodic snapshot before, `SnapshotDirectory.start(path, build)` a file, `Start(head, state, "words")` anything else.
`watch=` is called with a `Step` (commit, digest, records, outcomes, events, reduction) after every commit. Records that
are gone, a commit log with a hole and unreadable announcements raise `errors.Unreplayable`, an InvalidRequest whose
message names seq, topic, partition and offsets.
"""

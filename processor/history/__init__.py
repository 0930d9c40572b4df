"""Any past state of a shard, and what changed it.

Two ways lead to a past state. The store still has it while etcd keeps its history (`stored`): by revision, and for all
other points at the first revision whose head has reached them. After that the recorded events are folded again, which
`processor.replay` does; its `states.StateHistory` chooses. The digests of both are the commit's, so either is exact.

    points       how a point is written, and the values it becomes
    commit_log   which commit a seq, time, offset or revision belongs to, by the commit log alone
    stored       the states that the store still has
    events       the records that a commit reduced, with their outcomes and whom they name
    entity       the last commits that changed one entity, with causes and rejections
"""

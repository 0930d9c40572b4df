"""Every limit of the engine, with its name, unit and default. Reaching one is a defined outcome."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits handed to the engine; the settings fill them in."""

    batch_events_max: int = 500
    """Records in one batch."""
    batch_bytes_max: int = 8_388_608
    """Bytes of one lane's records in a batch; the record that reaches them is the batch's last of that lane."""
    normal_slice_ms: float = 5.0
    """Expected work of the normal records in one batch, so that a high record need not wait long."""
    normal_share: float = 0.125
    """Part of a batch that the starvation guard reserves for the normal lane; 0 is strict priority."""
    high_batches_max: int = 8
    """Batches without a normal record, while some waited, after which the guard acts."""
    normal_wait_max_ms: int = 1000
    """Time without progress of waiting normal records after which the guard acts."""
    idle_commit_interval_ms: int = 500
    """Age of consumed records that changed nothing after which they make a commit of their own."""
    ranges_max: int = 64
    """Ranges of such records kept in memory before they make a commit of their own."""
    conflict_retries_max: int = 5
    """Reloads in a row before the shard is given up."""
    pending_commits_max: int = 1000
    """Commits that wait for the output before the shard pauses."""
    pending_bytes_max: int = 67_108_864
    """Their size in memory before the shard pauses."""
    publish_group_records_max: int = 2000
    """Records of one output transaction; a single commit may exceed it."""
    publish_gap_ms: float = 5.0
    """Pause between the end of one output transaction and the next, while commits go on."""
    trim_after_ms: int = 1000
    """Time without commits after which a transaction of its own trims and materialises."""
    tick_interval_ms: int = 1000
    """Least time between two ticks of the clock."""
    peek_interval_ms: int = 500
    """How often an idle owner looks whether head and owner are still its own."""
    tell_interval_ms: int = 1000
    """How often the positions are reported to the broker, for lag tools."""
    idle_wait_ms: int = 3
    """How long an idle loop waits on the high lane before it looks at the normal one."""
    standby_interval_ms: int = 200
    """How often a standby campaigns."""
    silent_max_ms: int = 10_000
    """Silence of inputs and output after which a process that has peers leaves its shards to them."""
    stall_timeout_ms: int = 60_000
    """Time without a possible commit, or without publishing what waits, after which peers may try the shard."""
    dead_letters_max_ratio: float = 0.5
    """Share of dead letters among the last `dead_letters_window` events that opens the breaker."""
    dead_letters_window: int = 200
    """Events over which the share is taken."""
    dead_letters_max_consecutive: int = 100
    """Dead letters in a row that open the breaker."""
    breaker_pause_ms: int = 30_000
    """First pause of the open breaker; doubled up to `breaker_pause_max_ms`."""
    breaker_pause_max_ms: int = 600_000
    """Longest pause of the open breaker."""
    crash_attempts_max: int = 3
    """At this try after crashes a record is dead-lettered undecoded."""
    retry_pause_ms: int = 50
    """First pause before an unanswered request is sent again or a service is probed; doubled up to the next."""
    retry_pause_max_ms: int = 2000
    """Longest such pause."""


class Capacity(msgspec.Struct, frozen=True):
    """What one commit may carry without costing more than one transaction (a single event may exceed it).

    `entities_max`: changed entities; `bytes_max`: images, announcements and dead letters before compression;
    `value_bytes_max`: the largest entity, which no event may exceed (0: no limit).
    """

    entities_max: int
    bytes_max: int
    value_bytes_max: int = 0

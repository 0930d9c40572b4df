"""How the engine of one seed is set up: small limits, so that every one of them is reached."""

from random import Random

import msgspec

from processor.engine.limits import Capacity, Limits

ROOMY_BYTES = 1 << 20
VALUE_BYTES_MAX = 500
"""A device with a short name has about 75, none may have more than half."""


class Settings(msgspec.Struct, frozen=True):
    """Drawn from the seed alone; faults do not move them."""

    processes: int
    records: int
    duration_ms: float
    speculate: bool
    limits: Limits
    capacity: Capacity
    announce_in_background: bool
    record_bytes_max: int = 2000


def draw_settings(seed: int) -> Settings:
    """Return the settings of a seed."""
    chance = Random(f"{seed}/settings")
    pick = chance.choice
    return Settings(
        processes=pick((1, 2, 2, 3)),
        records=pick((15, 30, 50)),
        duration_ms=pick((1500.0, 3000.0, 6000.0)),
        speculate=pick((True, False)),
        limits=Limits(
            batch_events_max=pick((1, 2, 3, 8, 20)),
            normal_share=pick((0.0, 0.125, 0.5)),
            high_batches_max=pick((1, 8)),
            idle_commit_interval_ms=pick((30, 300)),
            ranges_max=pick((2, 8)),
            pending_commits_max=pick((1, 2, 5, 1000)),
            publish_group_records_max=pick((1, 3, 20, 2000)),
            trim_after_ms=pick((50, 500)),
            peek_interval_ms=pick((100, 400)),
            idle_wait_ms=pick((10, 40)),
            standby_interval_ms=100,
            dead_letters_max_consecutive=pick((2, 100)),
            dead_letters_window=pick((5, 200)),
            breaker_pause_ms=200,
            breaker_pause_max_ms=800,
            crash_attempts_max=pick((2, 3)),
            retry_pause_ms=10,
            retry_pause_max_ms=200,
            tell_interval_ms=500,
        ),
        capacity=Capacity(
            entities_max=pick((1, 2, 100)), bytes_max=pick((300, 1000, ROOMY_BYTES)), value_bytes_max=VALUE_BYTES_MAX
        ),
        announce_in_background=pick((True, False)),
    )

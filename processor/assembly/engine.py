"""The cluster's state machine with its Avro codec, and the engine's limits, from the settings."""

from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.avro.decoder import AvroEventDecoder
from processor.avro.framing import single_object_prefix
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.engine.inputs import Headers
from processor.engine.limits import Limits as EngineLimits
from processor.engine.machine import StateMachine
from processor.engine.outputs import CE_TYPE, CONTENT_TYPE
from processor.engine.ports import Encoder, EventDecoder

TICK = "processor.events.ClockTicked"


class Domain(msgspec.Struct, frozen=True):
    """A state machine with the codec of its events and entities."""

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    encoder: Encoder
    tick: tuple[bytes, Headers] | None = None
    """Value and headers of the event that wakes the machine; None: it never waits for time."""


def cluster_domain(settings: Settings, catalogue: Catalogue) -> Domain:
    """Return the cluster's state machine with its Avro codec."""
    machine = ClusterMachine()
    decoder = AvroEventDecoder(
        catalogue, parse_json_event, InvalidEvent, value_bytes_max=settings.dead_letters.value_bytes_max
    )
    tick = (
        single_object_prefix(catalogue.require(TICK)),
        ((CONTENT_TYPE, b"application/avro"), (CE_TYPE, TICK.encode())),
    )
    return Domain(machine, decoder, AvroEncoder(catalogue, machine.entity_types), tick)


def engine_limits(settings: Settings) -> EngineLimits:
    """Return the engine's limits as the settings have them."""
    return EngineLimits(
        batch_events_max=settings.batch.events_max,
        normal_slice_ms=settings.batch.normal_slice_ms,
        idle_commit_interval_ms=settings.batch.idle_commit_interval_ms,
        ranges_max=settings.batch.ranges_max,
        tick_interval_ms=settings.clock.interval_ms,
        normal_share=settings.lanes.normal_share,
        high_batches_max=settings.lanes.high_batches_max,
        normal_wait_max_ms=settings.lanes.normal_wait_max_ms,
        conflict_retries_max=settings.etcd.conflict_retries_max,
        pending_commits_max=settings.publish.pending_commits_max,
        pending_bytes_max=settings.publish.pending_bytes_max,
        dead_letters_max_ratio=settings.dead_letters.max_ratio,
        dead_letters_max_consecutive=settings.dead_letters.max_consecutive,
        crash_attempts_max=settings.dead_letters.crash_attempts_max,
        stall_timeout_ms=round(1000 * settings.shards.stall_timeout_s),
    )

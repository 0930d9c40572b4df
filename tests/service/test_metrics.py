from processor.engine.announcements import Outcome
from processor.engine.health import Health
from processor.engine.inputs import Cause
from processor.engine.reports import EventReport, StepReport
from processor.service.metrics import Metrics, MetricSources

LANES = {"servers": "high", "control": "normal"}


def _event(topic: str, type_name: str, outcome: Outcome, code: str = "") -> EventReport:
    return EventReport(Cause(topic, 0, 1, "id", type_name), outcome, at_ms=1000, code=code)


def _report(*events: EventReport, guard: bool = False) -> StepReport:
    return StepReport(
        shard=0,
        epoch=1,
        seq=5,
        committed_ms=1500,
        events=events,
        announcement_types=("processor.changes.ModelChanged",),
        guard=guard,
        conflicts=1,
        resends=2,
        seconds={"poll": 0.001, "commit": 0.002},
    )


def _metrics(sources: MetricSources | None = None) -> Metrics:
    return Metrics(lanes=LANES, known_types=frozenset({"ClockTicked"}), version="1.2.3", sources=sources)


def _sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"processor_{name}", labels)


def test_events_are_counted_by_topic_type_and_outcome() -> None:
    metrics = _metrics()
    metrics.observe(_report(*[_event("control", "ClockTicked", "applied")] * 3))
    assert _sample(metrics, "events_total", topic="control", type="ClockTicked", outcome="applied") == 3
    assert _sample(metrics, "batch_events_count") == 1
    assert _sample(metrics, "batch_events_sum") == 3


def test_types_outside_the_catalogue_are_one_label() -> None:
    metrics = _metrics()
    metrics.observe(_report(_event("control", "Whatever", "dead_lettered", code="unknown_type")))
    assert _sample(metrics, "events_total", topic="control", type="unknown", outcome="dead_lettered") == 1
    assert _sample(metrics, "dead_letters_total", code="unknown_type") == 1


def test_age_is_told_by_lane_and_phases_by_name() -> None:
    metrics = _metrics()
    metrics.observe(_report(_event("servers", "ClockTicked", "applied")))
    assert _sample(metrics, "event_age_seconds_sum", lane="high") == 0.5
    assert _sample(metrics, "step_seconds_count", phase="commit") == 1


def test_trouble_and_announcements_are_counted() -> None:
    metrics = _metrics()
    metrics.observe(_report(guard=True))
    assert _sample(metrics, "commit_conflicts_total") == 1
    assert _sample(metrics, "commit_ambiguous_total") == 2
    assert _sample(metrics, "lane_guard_total") == 1
    assert _sample(metrics, "announcements_total", type="processor.changes.ModelChanged") == 1
    assert _sample(metrics, "batch_events_count") == 0


def test_shards_are_read_when_asked() -> None:
    shards = [
        Health(shard=0, phase="owner", seq=9, outbox_commits=4, state="a state"),
        Health(shard=1, phase="standby"),
    ]
    metrics = _metrics(
        MetricSources(
            health=lambda: shards,
            lag=lambda: {("control", 0): 12},
            entities=lambda states: {"model": 3 * len(states)},
            etcd_bytes=lambda: (10, 20),
        )
    )
    assert _sample(metrics, "shard_owned", shard="0") == 1
    assert _sample(metrics, "shard_owned", shard="1") == 0
    assert _sample(metrics, "state_seq", shard="0") == 9
    assert _sample(metrics, "outbox_commits") == 4
    assert _sample(metrics, "input_lag", topic="control", partition="0") == 12
    assert _sample(metrics, "state_entities", kind="model") == 3
    assert (_sample(metrics, "etcd_database_bytes"), _sample(metrics, "etcd_quota_bytes")) == (10, 20)


def test_the_text_holds_every_promised_name() -> None:
    metrics = _metrics(MetricSources(etcd_bytes=lambda: (1, 2)))
    metrics.observe(_report(_event("control", "ClockTicked", "applied")))
    text = metrics.exposition().decode()
    promised = (
        "events_total batch_events step_seconds commit_conflicts_total commit_ambiguous_total announcements_total "
        "dead_letters_total input_lag event_age_seconds lane_guard_total outbox_commits state_entities state_seq "
        "shard_owned etcd_database_bytes etcd_quota_bytes build_info"
    )
    assert [name for name in promised.split() if f"processor_{name}" not in text] == []

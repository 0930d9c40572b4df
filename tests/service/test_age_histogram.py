from prometheus_client import CollectorRegistry, Histogram

from processor.service.age_histogram import AgeHistogram

BOUNDS_S = (0.001, 0.01, 0.1, 1.0)
AGES_MS = {0: 3, 1: 2, 2: 5, 10: 1, 11: 4, 1000: 2, 5000: 1}


def _samples(registry: CollectorRegistry) -> dict[tuple[str, str | None], float]:
    return {
        (sample.name, sample.labels.get("le")): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_batch_counts_like_one_observation_an_event() -> None:
    mine, theirs = CollectorRegistry(), CollectorRegistry()
    ages = AgeHistogram("age_seconds", "text", BOUNDS_S)
    mine.register(ages)
    ages.add("high", AGES_MS)
    ages.add("high", {7: 1})
    plain = Histogram("age_seconds", "text", ["lane"], buckets=BOUNDS_S, registry=theirs).labels("high")
    for age_ms, count in (*AGES_MS.items(), (7, 1)):
        for _ in range(count):
            plain.observe(age_ms / 1000)
    assert {key: round(value, 9) for key, value in _samples(mine).items()} == {
        key: round(value, 9) for key, value in _samples(theirs).items()
    }


def test_lanes_are_counted_apart() -> None:
    registry = CollectorRegistry()
    ages = AgeHistogram("age_seconds", "text", BOUNDS_S)
    registry.register(ages)
    ages.add("high", {1: 1})
    ages.add("normal", {1: 5})
    counts = [registry.get_sample_value("age_seconds_count", {"lane": lane}) for lane in ("high", "normal")]
    assert counts == [1, 5]

"""No accepted event makes an entity so large that it cannot be changed, announced and removed any more."""

from typing import Any

from tests.checker.artefacts import Published
from tests.checker.memory_run import GIBIBYTE, POLICY, SPEC, MemoryRun
from tests.checker.verdict import assert_whole

KIBIBYTE = 1024


def load(run: MemoryRun, model: str, generation: int, uri_bytes: int, **spec: Any) -> None:
    data = {"model": model, "generation": generation, "spec": {**SPEC, "uri": str(generation) * uri_bytes, **spec}}
    run.submit("ModelLoadRequested", data)


def unload(run: MemoryRun, model: str, generation: int) -> None:
    run.submit("ModelUnloadRequested", {"model": model, "generation": generation})


def connect(run: MemoryRun, replica: int = 0) -> None:
    run.submit("ServerReplicaConnected", {"server": "cpu", "replica": replica, "memory": 100 * GIBIBYTE}, high=True)


def rejections(run: MemoryRun) -> list[tuple[str, str, str]]:
    """Return type, code and message of what was refused."""
    told = [item.value for item in run.artefacts().changes if item.type == "processor.changes.EventRejected"]
    return [(value["event_type"], value["code"], value["message"]) for value in told]


def last(run: MemoryRun, key: str) -> Published:
    """Return the last announcement of an entity."""
    return [item for item in run.artefacts().changes if item.record.key == key.encode()][-1]


def omitted(published: Published) -> set[str]:
    """Return what an announcement says that it leaves out."""
    found = published.headers
    return {part for part in ("before", "after", "transitions") if found.get(f"processor-{part}") == "omitted"}


def whole(run: MemoryRun) -> None:
    """Check every invariant, and that nothing was put aside."""
    artefacts = run.artefacts()
    assert_whole(artefacts, run.reference)
    assert artefacts.dead_letters == ()


def test_a_version_that_would_make_a_model_too_large_is_rejected_and_the_model_can_be_unloaded() -> None:
    run = MemoryRun()
    connect(run)
    for generation in (1, 2, 3):
        load(run, "iris", generation, 200_000)
    run.process()
    ((event, code, message),) = rejections(run)
    assert (event, code) == ("ModelLoadRequested", "entity_too_large")
    assert message.startswith("model/iris has 400")
    assert "would have 600" in message
    assert "at most 497952 are taken" in message
    unload(run, "iris", 4)
    run.process()
    assert len(rejections(run)) == 1
    assert run.entity("model/iris")["deleted"]
    whole(run)


def test_the_rejection_does_not_depend_on_where_batches_are_cut() -> None:
    outcomes = []
    for batch_events_max in (1, 2, 3, 50):
        run = MemoryRun(batch_events_max=batch_events_max)
        connect(run)
        for generation in range(1, 4):
            load(run, "iris", generation, 200_000)
        load(run, "churn", 1, 300_000)
        load(run, "churn", 2, 100_000)
        load(run, "churn", 3, 100_000)
        load(run, "churn", 4, 50_000)
        run.process()
        store = run.artefacts().store
        outcomes.append((rejections(run), store.head["digest"], dict(store.entities)))
        whole(run)
    assert [code for _, code, _ in outcomes[0][0]] == ["entity_too_large"] * 2
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_what_is_too_large_for_a_moment_is_rejected_though_the_next_event_of_the_batch_replaces_it() -> None:
    for batch_events_max in (1, 2):
        run = MemoryRun(batch_events_max=batch_events_max)
        load(run, "iris", 1, 600_000)
        load(run, "iris", 2, 10)
        run.process()
        assert [code for _, code, _ in rejections(run)] == ["entity_too_large"]
        whole(run)


def large_neighbour() -> MemoryRun:
    """A model of 400 kB beside a small one, both waiting; then the records may have but 100 kB."""
    run = MemoryRun()
    load(run, "large", 1, 400_000)
    load(run, "small", 1, 10)
    run.process()
    run.record_bytes_max = 100_000
    return run


def test_events_about_servers_and_small_models_do_not_suffer_from_a_large_model() -> None:
    run = large_neighbour()
    connect(run)
    connect(run, 1)
    run.submit("ServerReplicaDraining", {"server": "cpu", "replica": 1}, high=True)
    run.process()
    assert run.entity("model/small")["versions"][0]["server"] == "cpu"
    assert run.entity("model/large")["versions"][0]["server"] == "cpu"
    run.submit("ServerReplicaDisconnected", {"server": "cpu", "replica": 0, "reason": "lost"}, high=True)
    run.submit("ServerRemoved", {"server": "cpu", "generation": 1}, high=True)
    run.process()
    assert [code for _, code, _ in rejections(run) if code == "entity_too_large"] == []
    whole(run)


def test_what_is_too_large_already_is_changed_and_removed_and_its_announcement_says_what_it_leaves_out() -> None:
    run = large_neighbour()
    run.record_bytes_max = 600_000
    connect(run)
    run.process()
    change = last(run, "model/large")
    assert omitted(change) == {"before"}
    assert change.value["before"] is None
    assert change.value["after"] == run.entity("model/large")
    assert omitted(last(run, "model/small")) == set()
    run.record_bytes_max = 100_000
    unload(run, "large", 2)
    run.process()
    change = last(run, "model/large")
    assert omitted(change) == {"before", "after"}
    assert change.value["op"] == "u"
    assert [one["type"] for one in change.value["transitions"]]
    place = {"version": 1, "server": "cpu", "replica": 0}
    run.submit("ModelReplicaUnloaded", {"model": "large", **place, "available_memory": 0})
    run.submit("PolicyChanged", {**POLICY, "tombstone_ttl_ms": 0}, high=True)
    run.submit("ClockTicked", {})
    run.process()
    change = last(run, "model/large")
    assert (change.value["op"], change.value["after"], omitted(change)) == ("d", None, {"before"})
    assert rejections(run) == []
    whole(run)


def test_transitions_that_do_not_fit_are_left_out_and_the_model_itself_is_told() -> None:
    run = MemoryRun(batch_events_max=500)
    run.record_bytes_max = 100_000
    server, count = "s" * 250, 400
    for replica in range(count):
        data = {"server": server, "replica": replica, "memory": GIBIBYTE}
        run.submit("ServerReplicaConnected", data, high=True)
    data = {"model": "iris", "spec": {**SPEC, "uri": "s3://iris"}, "deployment": {"replicas": count}}
    run.submit_json("ModelLoadRequested", data)
    run.process()
    change = last(run, "model/iris")
    assert omitted(change) == {"transitions"}
    assert change.value["after"] == run.entity("model/iris")
    assert len(change.value["after"]["versions"][0]["replicas"]) == count
    whole(run)


def test_growth_of_what_is_too_large_already_is_refused_and_what_does_not_grow_is_not() -> None:
    run = large_neighbour()
    connect(run)
    load(run, "large", 2, 10)
    load(run, "small", 2, 20)
    run.process()
    ((event, code, message),) = rejections(run)
    assert (event, code) == ("ModelLoadRequested", "entity_too_large")
    assert message.startswith("model/large has 400")
    assert len(run.entity("model/small")["versions"]) == 2
    whole(run)


def test_what_the_store_takes_bounds_entities_as_well() -> None:
    run = MemoryRun()
    run.value_bytes_max = 2 * KIBIBYTE
    load(run, "iris", 1, KIBIBYTE)
    load(run, "churn", 1, 512)
    run.process()
    ((_, code, message),) = rejections(run)
    assert code == "entity_too_large"
    assert "at most 1024 are taken" in message
    commit = run.artefacts().commits[-1].value
    assert (commit["entity_bytes_max"], commit["value_bytes_max"]) == (KIBIBYTE, 2 * KIBIBYTE)
    whole(run)


def test_a_report_that_would_take_a_model_beyond_what_the_store_takes_is_refused_and_its_removal_is_not() -> None:
    run = MemoryRun()
    run.value_bytes_max = 8 * KIBIBYTE
    connect(run)
    load(run, "iris", 1, 3 * KIBIBYTE)
    run.process()
    place = {"model": "iris", "version": 1, "server": "cpu", "replica": 0}
    run.submit("ModelReplicaLoadFailed", {**place, "reason": "r" * 8 * KIBIBYTE})
    unload(run, "iris", 2)
    run.process()
    ((event, code, message),) = rejections(run)
    assert (event, code) == ("ModelReplicaLoadFailed", "entity_too_large")
    assert "at most 6144 are taken" in message, "halfway between what a load and what the store may take"
    assert run.entity("model/iris")["deleted"]
    whole(run)


def test_an_unload_is_accepted_though_it_takes_a_model_at_its_limit_over_it() -> None:
    limit = 4 * KIBIBYTE
    run = MemoryRun()
    connect(run)
    load(run, "iris", 1, 2 * KIBIBYTE)
    run.process()
    beside = len(run.artefacts().store.entities["model/iris"]) - 2 * KIBIBYTE
    run = MemoryRun()
    run.value_bytes_max = 2 * limit
    connect(run)
    load(run, "more", 1, limit - beside + 1)
    load(run, "iris", 1, limit - beside)
    run.process()
    assert len(run.artefacts().store.entities["model/iris"]) == limit
    assert [message[:11] for _, _, message in rejections(run)] == ["model/more "]
    unload(run, "iris", 2)
    run.process()
    assert len(run.artefacts().store.entities["model/iris"]) > limit
    assert len(rejections(run)) == 1
    whole(run)


def test_a_dead_letter_larger_than_what_may_be_published_is_cut() -> None:
    run = MemoryRun()
    run.record_bytes_max = 50_000
    run.submit_raw(b"no event" * 10_000)
    load(run, "iris", 1, 10)
    run.process()
    artefacts = run.artefacts()
    (letter,) = artefacts.dead_letters
    assert letter.headers["dead-letter-truncated"] == "80000"
    assert "model/iris" in artefacts.store.entities
    assert_whole(artefacts, run.reference)

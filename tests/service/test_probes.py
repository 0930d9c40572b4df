import pytest

from processor.engine.health import Health, Phase
from processor.service.probes import live, ready, status_of, verdict

NOW_S = 1000.0


def _health(phase: Phase, *, seen_s: float = NOW_S, reason: str = "", shard: int = 0) -> Health:
    return Health(shard=shard, phase=phase, seen_s=seen_s, reason=reason)


def test_a_loop_that_moves_is_alive() -> None:
    assert live([_health("owner"), _health("standby", seen_s=NOW_S - 59)], NOW_S).passed


def test_a_loop_without_a_sign_for_a_minute_is_dead() -> None:
    probe = live([_health("owner", seen_s=NOW_S - 61, shard=3)], NOW_S)
    assert not probe.passed
    assert probe.reasons == ("shard 3: no sign of life for 61 s",)


def test_who_waits_for_a_service_is_alive_while_it_asks_again() -> None:
    waiting = Health(shard=0, phase="owner", reason="etcd is away", seen_s=NOW_S - 300, moved_s=NOW_S - 59)
    assert live([waiting], NOW_S).passed
    assert not live([waiting], NOW_S + 2).passed


def test_a_call_for_the_output_that_hangs_is_no_life() -> None:
    calling = Health(shard=2, phase="owner", seen_s=NOW_S, publishing_since_s=NOW_S - 61)
    assert live([calling], NOW_S).reasons == ("shard 2: one call for the output takes 61 s",)
    assert live([calling], NOW_S - 2).passed


def test_a_shard_that_waits_for_people_does_not_restart_the_process() -> None:
    assert live([_health("refused", seen_s=1)], NOW_S).passed


@pytest.mark.parametrize("phase", ["owner", "standby"])
def test_owners_and_standbys_are_ready(phase: Phase) -> None:
    assert ready([_health(phase)], NOW_S).passed


def test_who_pauses_is_not_ready_and_says_why() -> None:
    probe = ready([_health("owner", reason="etcd is away")], NOW_S)
    assert (probe.passed, probe.reasons) == (False, ("shard 0 is owner: etcd is away",))


def test_who_goes_on_without_one_of_its_services_is_not_ready_either() -> None:
    health = Health(shard=0, phase="owner", seen_s=NOW_S, troubles=("inputs: away", "output: away"))
    assert ready([health], NOW_S).reasons == ("shard 0 is owner: inputs: away; output: away",)


def test_readiness_is_a_claim_about_now() -> None:
    assert not ready([_health("owner", seen_s=NOW_S - 11)], NOW_S).passed


def test_nothing_to_run_is_not_ready() -> None:
    assert not ready([], NOW_S).passed


def test_the_process_is_as_bad_as_its_worst_shard() -> None:
    good, slow, refused = _health("owner"), _health("owner", reason="slow", shard=1), _health("refused", shard=2)
    assert [verdict(shards, NOW_S) for shards in ([good], [good, slow], [good, slow, refused], [])] == [
        "healthy",
        "degraded",
        "down",
        "down",
    ]
    assert status_of(refused, NOW_S) == "down"

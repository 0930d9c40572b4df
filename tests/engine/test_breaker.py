from processor.engine.breaker import Breaker
from processor.engine.limits import Limits

LIMITS = Limits(dead_letters_window=10, dead_letters_max_ratio=0.5, dead_letters_max_consecutive=5)


def test_a_few_dead_letters_do_not_open_it() -> None:
    breaker = Breaker(LIMITS)
    breaker.see(["applied", "dead_lettered", "dead_lettered"] * 4, 0.0)
    assert breaker.open, "two thirds of a full window are too many"
    breaker = Breaker(LIMITS)
    breaker.see(["applied", "dead_lettered"] * 20, 0.0)
    assert not breaker.open


def test_dead_letters_in_a_row_open_it() -> None:
    breaker = Breaker(LIMITS)
    opened = []
    for _ in range(5):
        breaker.see(["dead_lettered"], 0.0)
        opened.append(breaker.open)
    assert opened == [False] * 4 + [True]
    assert "5 dead letters in a row" in breaker.reason()


def test_a_record_may_be_tried_after_the_pause_which_doubles_up_to_its_limit() -> None:
    breaker = Breaker(LIMITS)
    breaker.see(["dead_lettered"] * 5, 100.0)
    assert not breaker.may_try(129.9)
    assert breaker.may_try(130.0)
    breaker.see(["dead_lettered"], 130.0)
    assert not breaker.may_try(189.9)
    assert breaker.may_try(190.0)
    for _ in range(20):
        breaker.see(["dead_lettered"], 190.0)
    assert breaker.may_try(190.0 + LIMITS.breaker_pause_max_ms / 1000)


def test_a_good_record_closes_it() -> None:
    breaker = Breaker(LIMITS)
    breaker.see(["dead_lettered"] * 5, 0.0)
    breaker.see(["applied"], 30.0)
    assert not breaker.open
    assert breaker.may_try(30.0)

import pytest

from processor.engine.values import Image
from processor.etcd.backlog import Backlog, Delta, Effect, StoredDelta, merge


def delta(seq: int, **values: bytes | None) -> Delta:
    return Delta(seq, 10, tuple(Image(name, value) for name, value in values.items()))


def backlog(*deltas: Delta) -> Backlog:
    """Each delta's commit settles what older ones hold of the same entities, as every commit does."""
    made = Backlog()
    for one in deltas:
        made.apply(Effect(settled=tuple(image.key for image in one.images), delta=one))
    return made


def waiting(of: Backlog, *without: str) -> list[tuple[str, bytes | None]]:
    return [(image.key, image.value) for image in of.oldest(without=frozenset(without))]


def test_an_entity_is_mentioned_until_the_last_delta_with_an_image_of_it_is_gone_written_or_not() -> None:
    behind = backlog(delta(1, a=b"1"), delta(2, a=b"2", b=b"2"))
    behind.apply(Effect(settled=("a", "b")))
    assert (behind.mentions("a"), behind.pending) == (True, 0)
    behind.apply(Effect(dropped_through=1))
    assert behind.mentions("a")
    behind.apply(Effect(dropped_through=2))
    assert not behind.mentions("a")
    assert (behind.commits, behind.size_bytes) == (0, 0)


def test_what_will_be_behind_is_known_before() -> None:
    behind = backlog(delta(1, a=b"1", b=b"1", c=b"1"))
    effect = Effect(settled=("a", "b", "z"), delta=delta(2, b=b"2", d=b"2"))
    expected = behind.pending_after(effect)
    behind.apply(effect)
    assert expected == behind.pending == 3


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, (b"delta", 5)),
        ((b"older", 4), (b"delta", 5)),
        ((b"same commit", 5), (b"same commit", 5)),
        ((b"newer", 6), (b"newer", 6)),
    ],
)
def test_the_image_with_the_highest_revision_wins(
    written: tuple[bytes, int] | None, expected: tuple[bytes, int]
) -> None:
    keys = {} if written is None else {"a": written}
    merged = merge(keys, [StoredDelta(delta(1, a=b"delta"), 5)])
    assert merged.entities == (("a", expected[0]),)
    assert merged.modified == {"a": expected[1]}
    assert merged.backlog.pending == (expected[1] == 5 and expected[0] == b"delta")


def test_a_tombstone_hides_the_key_and_the_deltas_before_it() -> None:
    deltas = [StoredDelta(delta(1, a=b"1", b=b"1"), 5), StoredDelta(delta(2, a=None), 6)]
    merged = merge({"a": (b"0", 3)}, deltas)
    assert merged.entities == (("b", b"1"),)
    assert merged.modified == {"b": 5}
    assert waiting(merged.backlog) == [("b", b"1"), ("a", None)]

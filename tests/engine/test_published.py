import pytest

from processor.engine.announcements import CHANGES, COMMITS, DEAD_LETTERS, Tail
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Headers, Record
from processor.engine.outputs import tail_of

PLACE: Headers = (
    ("processor-seq", b"12"),
    ("processor-epoch", b"345"),
    ("processor-index", b"6"),
    ("processor-count", b"7"),
)


def record(headers: Headers) -> Record:
    return Record("topic", 3, 99, 1, b"key", b"value", headers)


def test_an_announcement_tells_its_place_and_number() -> None:
    tail = tail_of(CHANGES, record((*PLACE, ("processor-number", b"890"))), low=0)

    assert tail == Tail(seq=12, epoch=345, index=6, count=7, number=890)


def test_a_dead_letter_has_no_number_and_the_last_header_of_a_name_is_ours() -> None:
    tail = tail_of(DEAD_LETTERS, record((("processor-seq", b"from its producer"), *PLACE)), low=5)

    assert tail == Tail(seq=12, epoch=345, index=6, count=7, number=-1)


def test_a_commit_log_record_has_neither_index_nor_count() -> None:
    assert tail_of(COMMITS, record(PLACE[:2]), low=0) == Tail(seq=12, epoch=345, index=0, count=1)


@pytest.mark.parametrize(("low", "emptied"), [(0, False), (1, True)])
def test_no_record_is_told_from_records_removed(low: int, emptied: bool) -> None:  # noqa: FBT001 - what is expected
    assert tail_of(CHANGES, None, low=low) == Tail(seq=None, emptied=emptied)


@pytest.mark.parametrize("missing", range(4))
def test_a_record_without_one_of_the_headers_is_refused_with_its_place(missing: int) -> None:
    headers = PLACE[:missing] + PLACE[missing + 1 :]

    with pytest.raises(ShardRefused, match=rf"topic\[3\].*offset 99.*{PLACE[missing][0]}"):
        tail_of(CHANGES, record(headers), low=0)


@pytest.mark.parametrize("value", [None, b"", b"-1", b"x", "²".encode()])
def test_a_header_that_is_no_number_is_refused(value: bytes | None) -> None:
    with pytest.raises(ShardRefused, match="processor-seq"):
        tail_of(CHANGES, record((("processor-seq", value), *PLACE[1:])), low=0)

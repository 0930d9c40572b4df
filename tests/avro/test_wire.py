import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.wire import (
    CACHED_CHARACTERS_MAX,
    CACHED_ITEMS_MAX,
    Malformed,
    Numbers,
    OptionalNumbers,
    OptionalTexts,
    Texts,
    cut_text,
    encode_bytes,
    encode_long,
    encode_text,
    read_block,
    read_length,
    read_raw,
)

LONGS = st.integers(-(2**63), 2**63 - 1)


def decode_long(encoded: bytes) -> int:
    raw, position = read_raw(encoded, 1, encoded[0]) if encoded[0] & 128 else (encoded[0], 1)
    assert position == len(encoded)
    return (raw >> 1) ^ -(raw & 1)


@given(LONGS)
def test_a_number_comes_back_as_it_was(number: int) -> None:
    assert decode_long(encode_long(number)) == number


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00"), (-1, "01"), (1, "02"), (-64, "7f"), (64, "8001"), (2**63 - 1, "fe" + "ff" * 8 + "01")],
)
def test_numbers_are_zigzag_varints(number: int, encoded: str) -> None:
    assert encode_long(number).hex() == encoded


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(OverflowError):
        encode_long(number)


@pytest.mark.parametrize("encoded", [b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b"\xff" * 20])
def test_a_number_beyond_64_bits_is_not_read(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        read_raw(encoded, 1, encoded[0])


def test_a_number_that_does_not_end_is_not_read() -> None:
    with pytest.raises(IndexError):
        read_raw(b"\x80\x80", 1, 128)


def test_a_length_is_read_as_twice_its_size() -> None:
    encoded = encode_long(300)
    assert read_length(encoded, 1, encoded[0]) == (600, 2)


@pytest.mark.parametrize("length", [-1, -300])
def test_a_negative_length_is_refused(length: int) -> None:
    encoded = encode_long(length)
    with pytest.raises(Malformed):
        read_length(encoded, 1, encoded[0])


@given(st.integers(1, 2**62), st.integers(0, 1000))
def test_a_negative_count_states_where_its_block_ends(count: int, size: int) -> None:
    encoded = encode_long(-count) + encode_long(size)
    raw, position, end = read_block(encoded, 1, encoded[0])
    assert (raw, position, end) == (2 * count, len(encoded), len(encoded) + size)


def test_a_count_states_no_end() -> None:
    encoded = encode_long(100)
    assert read_block(encoded, 1, encoded[0]) == (200, 2, 0)


def test_texts_and_bytes_stand_behind_their_length() -> None:
    assert encode_text("né") == b"\x06n\xc3\xa9"
    assert encode_bytes(b"\x00") == b"\x02\x00"


@given(LONGS, TEXT := st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_remembered_equals_what_is_encoded(number: int, text: str) -> None:
    numbers, texts = Numbers(), Texts()
    optional_numbers, optional_texts = OptionalNumbers(), OptionalTexts()
    for _ in range(2):
        assert optional_numbers[number] == b"\x02" + encode_long(number)
        assert optional_texts[text] == b"\x02" + encode_text(text)
        assert optional_numbers[None] == b"\x00" == optional_texts[None]
        assert numbers[number] == encode_long(number)
        assert texts[text] == encode_text(text)


def test_memory_of_numbers_is_bounded() -> None:
    numbers, optional = Numbers(), OptionalNumbers()
    for number in range(2 * CACHED_ITEMS_MAX):
        assert numbers[number] == encode_long(number)
        assert optional[number][1:] == encode_long(number)
    assert 0 < len(numbers) <= CACHED_ITEMS_MAX
    assert 0 < len(optional) <= CACHED_ITEMS_MAX


def test_memory_of_texts_is_bounded_in_number_and_length() -> None:
    texts, optional = Texts(), OptionalTexts()
    long = "x" * (CACHED_CHARACTERS_MAX + 1)
    assert texts[long] == optional[long][1:] == encode_text(long)
    assert not texts
    assert not optional
    for number in range(2 * CACHED_ITEMS_MAX):
        assert texts[str(number)] == optional[str(number)][1:] == encode_text(str(number))
    assert 0 < len(texts) <= CACHED_ITEMS_MAX
    assert 0 < len(optional) <= CACHED_ITEMS_MAX


@given(TEXT, st.integers(0, 40))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, bytes_max: int) -> None:
    kept = cut_text(text, bytes_max)
    assert text.startswith(kept)
    assert len(kept.encode()) <= bytes_max
    following = text[len(kept) : len(kept) + 1]
    assert not following or len((kept + following).encode()) > bytes_max


def test_a_cut_text_can_be_encoded_even_if_the_text_could_not() -> None:
    assert cut_text("a\ud800" * 600, 1024).encode() == b"a?" * 512

"""Avro's primitives as bytes: zigzag varints and strings, with the limits on what an input may hold.

A *raw* number is the unsigned varint before zigzag: even for what is not negative.
"""

from typing import Final

VARINT_BYTES_MAX: Final = 10
ZERO_SIZE_ITEMS_MAX: Final = 16
"""Items of no size (null, an empty record) in one block: they cost the sender nothing, but us memory."""
CACHED_ITEMS_MAX: Final = 8192
CACHED_CHARACTERS_MAX: Final = 64

NULL: Final = b"\x00"
VALUE: Final = b"\x02"
"""The branches of `["null", T]`."""

_LONG_MIN: Final = -(1 << 63)
_LONG_MAX: Final = (1 << 63) - 1
_SHIFTS: Final = tuple(range(7, 7 * VARINT_BYTES_MAX, 7))
# Two bytes of a varint at a time: numbers and times that do not come again are encoded for every change.
_PAIRS: Final = 1 << 14
_CONTINUED: Final = tuple([bytes((pair & 127 | 128, pair >> 7 | 128)) for pair in range(_PAIRS)])
_LAST: Final = tuple([bytes((pair & 127 | 128, pair >> 7) if pair > 127 else (pair,)) for pair in range(_PAIRS)])


class Malformed(ValueError):
    """The bytes are not a value of their schema, or go beyond a limit."""


def read_raw(data: bytes, position: int, first: int) -> tuple[int, int]:
    """Finish a varint whose first byte was read and has more to come; return the raw number and the next position."""
    raw = first & 127
    for shift in _SHIFTS:
        byte = data[position]
        position += 1
        if byte < 128:
            raw |= byte << shift
            if raw >> 64:
                break
            return raw, position
        raw |= (byte & 127) << shift
    raise Malformed("number beyond 64 bits")


def read_length(data: bytes, position: int, first: int) -> tuple[int, int]:
    """Finish the length of a string or bytes; like `read_raw`, negative ones are refused."""
    raw, position = read_raw(data, position, first) if first & 128 else (first, position)
    if raw & 1:
        raise Malformed("negative length")
    return raw, position


def read_block(data: bytes, position: int, first: int) -> tuple[int, int, int]:
    """Finish the count of a block of an array or map; return the raw count, the next position, the end.

    A negative count is followed by the block's size in bytes, which says where it must end; else the end is 0.
    """
    raw, position = read_raw(data, position, first) if first & 128 else (first, position)
    if not raw & 1:
        return raw, position, 0
    first = data[position]
    size, position = read_length(data, position + 1, first)
    return raw + 1, position, position + (size >> 1)


def encode_long(number: int) -> bytes:
    """Return a zigzag varint. Raises OverflowError beyond 64 bits."""
    if not _LONG_MIN <= number <= _LONG_MAX:
        raise OverflowError(f"{number} does not fit 64 bits")
    raw = (number << 1) ^ (number >> 63)
    encoded = b""
    while raw >= _PAIRS:
        encoded += _CONTINUED[raw & (_PAIRS - 1)]
        raw >>= 14
    return encoded + _LAST[raw]


def encode_bytes(content: bytes) -> bytes:
    """Return the bytes behind their length."""
    return encode_long(len(content)) + content


def encode_text(text: str) -> bytes:
    """Return the text as UTF-8 behind its length."""
    return encode_bytes(text.encode())


class Numbers(dict[int, bytes]):
    """Number → its varint, remembered: the same small numbers and times come again and again."""

    def __missing__(self, number: int) -> bytes:
        if len(self) >= CACHED_ITEMS_MAX:
            self.clear()
        encoded = self[number] = encode_long(number)
        return encoded


class Texts(dict[str, bytes]):
    """Text → its bytes behind their length, remembered while short: states, codes and names repeat."""

    def __missing__(self, text: str) -> bytes:
        encoded = encode_text(text)
        if len(text) <= CACHED_CHARACTERS_MAX:
            if len(self) >= CACHED_ITEMS_MAX:
                self.clear()
            self[text] = encoded
        return encoded


class OptionalNumbers(dict[int | None, bytes]):
    """Number or None → its bytes as `["null", "long"]`, remembered."""

    def __missing__(self, number: int | None) -> bytes:
        if len(self) >= CACHED_ITEMS_MAX:
            self.clear()
        encoded = self[number] = NULL if number is None else VALUE + encode_long(number)
        return encoded


class OptionalTexts(dict[str | None, bytes]):
    """Text or None → its bytes as `["null", "string"]`, remembered while short."""

    def __missing__(self, text: str | None) -> bytes:
        encoded = NULL if text is None else VALUE + encode_text(text)
        if len(encoded) <= CACHED_CHARACTERS_MAX:
            if len(self) >= CACHED_ITEMS_MAX:
                self.clear()
            self[text] = encoded
        return encoded


def cut_text(text: str, bytes_max: int) -> str:
    """Return the longest prefix of a text with at most `bytes_max` bytes in UTF-8, without splitting a character."""
    if len(text) <= bytes_max // 4:
        return text
    encoded = text.encode(errors="replace")
    return encoded[:bytes_max].decode(errors="ignore") if len(encoded) > bytes_max else text

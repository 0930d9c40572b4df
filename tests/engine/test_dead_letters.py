from hashlib import sha256

from processor.engine.inputs import Cause, Record, Undecodable
from processor.engine.outputs import TRUNCATED_HEADERS_MAX, DeadLetterFacts, clipped, dead_letter

FACTS = DeadLetterFacts(seq=7, epoch=3, shard=1, count=2)


def why(code: str, message: str = "m") -> Undecodable:
    return Undecodable(Cause("t", 0, 5, "id", "unknown"), code, message, "ValueError")


def test_the_original_bytes_and_headers_come_first_then_ours() -> None:
    record = Record("t", 0, 5, 1234, b"k", b"\xff\x00", (("processor-seq", b"theirs"), ("a", None)))
    letter = dead_letter(record, why("undecodable"), FACTS, index=1)
    assert (letter.key, letter.value, letter.headers[:2]) == (b"k", b"\xff\x00", record.headers)
    ours = dict(letter.headers)
    assert ours["processor-seq"] == b"7", "of several headers with one name the last is ours"
    assert ours["dead-letter-code"] == b"undecodable"
    assert ours["dead-letter-timestamp"] == b"1234"
    assert (ours["processor-index"], ours["processor-count"]) == (b"1", b"2")


def test_a_record_too_large_keeps_its_beginning_its_size_and_its_hash() -> None:
    value = bytes(1_000_000)
    record = Record("t", 0, 5, 0, None, value, (("small", b"1"), ("large", bytes(100_000))))
    letter = dead_letter(record, why("too_large"), FACTS, index=0)
    ours = dict(letter.headers)
    assert letter.value == value[:65_536]
    assert ours["dead-letter-truncated"] == b"1000000"
    assert ours["dead-letter-sha256"] == sha256(value).hexdigest().encode()
    assert "small" in ours
    assert "large" not in ours


def test_of_headers_too_many_the_first_are_kept() -> None:
    record = Record("t", 0, 5, 0, None, b"", tuple((f"h{number}", None) for number in range(100_000)))
    letter = dead_letter(record, why("too_large"), FACTS, index=0)
    assert letter.headers[:TRUNCATED_HEADERS_MAX] == record.headers[:TRUNCATED_HEADERS_MAX]
    assert letter.headers[TRUNCATED_HEADERS_MAX][0] == "dead-letter-code"


def test_text_is_clipped_between_characters() -> None:
    assert clipped("aé", 2) == "a"
    assert clipped("aé", 3) == "aé"
    assert (
        len(
            dict(dead_letter(Record("t", 0, 0, 0, None, b""), why("x", "é" * 5000), FACTS, index=0).headers)[
                "dead-letter-message"
            ]
            or b""
        )
        == 1024
    )

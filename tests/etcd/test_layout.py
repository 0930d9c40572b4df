import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from processor.engine.announcements import Announcement, DeadLetter, OutboxEntry
from processor.engine.errors import ShardRefused
from processor.engine.values import LAYOUT, Attempts, AuditEntry, Head, Image, Tried
from processor.etcd.layout import (
    ShardKeys,
    audit_key,
    decode_attempts,
    decode_audit,
    decode_head,
    encode_attempts,
    encode_audit,
    encode_head,
    end_of,
    numbered,
    numbers_of,
    pack_delta,
    pack_entry,
    pack_staged_delta,
    pack_staged_entry,
    unpack_delta,
    unpack_entry,
)

KEYS = ShardKeys("/processor", "cluster", 1)
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
COUNTS = st.integers(min_value=0, max_value=2**31 - 1)
TEXTS = st.text(max_size=20)
BLOBS = st.binary(max_size=200)

heads = st.builds(
    Head,
    seq=NUMBERS,
    epoch=NUMBERS,
    commit_id=TEXTS,
    committed_ms=NUMBERS,
    positions=st.dictionaries(TEXTS, st.dictionaries(COUNTS, NUMBERS, max_size=3), max_size=3),
    topics=st.dictionaries(TEXTS, TEXTS, max_size=3),
    digest=TEXTS,
    reducer_version=COUNTS,
    layout=st.integers(min_value=0, max_value=LAYOUT),
    announcements=NUMBERS,
    announced_seq=NUMBERS,
    pending=COUNTS,
)
announcements = st.builds(Announcement, key=TEXTS, type=TEXTS, value=BLOBS, traceparent=st.none() | TEXTS)
dead_letters = st.builds(
    DeadLetter,
    key=st.none() | BLOBS,
    value=st.none() | BLOBS,
    headers=st.lists(st.tuples(TEXTS, st.none() | BLOBS), max_size=3).map(tuple),
)
entries = st.builds(
    OutboxEntry,
    seq=NUMBERS,
    epoch=NUMBERS,
    committed_ms=NUMBERS,
    first_number=NUMBERS,
    announcements=st.lists(announcements, max_size=5).map(tuple),
    dead_letters=st.lists(dead_letters, max_size=3).map(tuple),
    commit_record=BLOBS,
)
tried = st.lists(st.builds(Tried, TEXTS, COUNTS, NUMBERS, COUNTS), max_size=3).map(tuple)
images = st.lists(st.builds(Image, key=TEXTS, value=st.none() | BLOBS), max_size=8).map(tuple)


def by_number(parts: list[bytes]) -> dict[int, bytes]:
    return dict(enumerate(parts, start=1))


@given(heads)
def test_a_head_is_read_as_it_was_written(head: Head) -> None:
    assert decode_head(encode_head(head)) == head


@given(st.builds(Attempts, clean=st.booleans(), tried=tried))
def test_attempts_are_read_as_they_were_written(attempts: Attempts) -> None:
    assert decode_attempts(encode_attempts(attempts)) == attempts


@given(entries)
def test_an_entry_is_unpacked_as_it_was_packed(entry: OutboxEntry) -> None:
    assert unpack_entry(pack_entry(entry), {}, where="outbox/1") == entry


@given(entries, st.integers(min_value=1, max_value=200))
def test_a_staged_entry_is_put_together_from_its_parts_and_leftovers_beyond_them_are_ignored(
    entry: OutboxEntry, part_bytes_max: int
) -> None:
    frame, parts = pack_staged_entry(entry, part_bytes_max=part_bytes_max, delta_parts=3)
    assert all(0 < len(part) <= part_bytes_max for part in parts)
    leftover = {len(parts) + 1: b"of another"}
    assert unpack_entry(frame, by_number(parts) | leftover, where="outbox/1") == entry


@given(images)
def test_a_delta_is_unpacked_as_it_was_packed(images: tuple[Image, ...]) -> None:
    assert unpack_delta(pack_delta(images), {}, where="delta/1") == images


@given(images, st.integers(min_value=1, max_value=200))
def test_a_staged_delta_is_put_together_from_its_parts(images: tuple[Image, ...], part_bytes_max: int) -> None:
    frame, parts = pack_staged_delta(images, part_bytes_max=part_bytes_max)
    assert unpack_delta(frame, by_number(parts), where="delta/1") == images


def test_a_missing_part_is_named() -> None:
    many = tuple(Image(f"{number}", bytes([number])) for number in range(200))
    frame, parts = pack_staged_delta(many, part_bytes_max=100)
    found = by_number(parts)
    del found[2]
    with pytest.raises(ShardRefused, match=r"delta/7 has \d+ parts, of which these are missing: \[2\]"):
        unpack_delta(frame, found, where="delta/7")


@pytest.mark.parametrize("value", [b"", b"no zstd", zstandard.compress(b"\xc1"), zstandard.compress(b"\x90")])
def test_a_value_that_is_no_entry_refuses_the_shard(value: bytes) -> None:
    with pytest.raises(ShardRefused, match="outbox/7 cannot be read"):
        unpack_entry(value, {}, where="outbox/7")


@given(NUMBERS, st.none() | st.integers(min_value=1, max_value=999_999))
def test_numbers_come_back_out_of_keys(seq: int, part: int | None) -> None:
    assert numbers_of(KEYS.outbox, numbered(KEYS.outbox, seq, part)) == (seq, part)


@given(NUMBERS, NUMBERS)
def test_keys_ascend_as_their_numbers_do_and_parts_stay_with_their_seq(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert numbered(KEYS.delta, low) <= numbered(KEYS.delta, high)
    assert numbered(KEYS.delta, low) < numbered(KEYS.delta, low, 1) < numbered(KEYS.delta, low + 1)


@given(st.text(min_size=1, max_size=30))
def test_an_entity_s_key_gives_its_name_back_and_lies_in_the_range_of_the_folder(name: str) -> None:
    key = KEYS.entity(f"model/{name}")
    assert KEYS.entity_of(key) == f"model/{name}"
    assert KEYS.state < key < end_of(KEYS.state)


def test_shard_1_does_not_reach_into_shard_10() -> None:
    other = ShardKeys("/processor", "cluster", 10)
    assert not other.head.startswith(KEYS.root)
    assert not KEYS.root < other.head < end_of(KEYS.root)


def test_a_newer_layout_refuses_the_shard_even_if_the_rest_is_strange() -> None:
    with pytest.raises(ShardRefused, match=f"layout {LAYOUT + 1}, this release knows {LAYOUT}"):
        decode_head(msgspec.json.encode({"layout": LAYOUT + 1, "seq": "seven"}))


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"layout":1,"seq":"seven"}'])
def test_what_is_no_head_refuses_the_shard(value: bytes) -> None:
    with pytest.raises(ShardRefused, match="head cannot be read"):
        decode_head(value)


@pytest.mark.parametrize("value", [b"", b"[]", b"\xff", b'{"tried":"x"}'])
def test_what_is_no_crash_counter_refuses_the_shard(value: bytes) -> None:
    with pytest.raises(ShardRefused, match="attempts cannot be read"):
        decode_attempts(value)


def test_an_audit_entry_is_read_as_it_was_written_and_entries_ascend_with_time() -> None:
    entry = AuditEntry(999_999_999_999, "adopt", "someone", 3, {"edited": ["model/a"]})
    later = msgspec.structs.replace(entry, at_ms=1_000_000_000_000)
    assert decode_audit(encode_audit(entry)) == entry
    keys = ShardKeys("/processor", "app", 0)
    assert audit_key(keys, entry) < audit_key(keys, later)


def test_what_is_no_audit_entry_is_said_to_be_none() -> None:
    with pytest.raises(ShardRefused, match="the audit log cannot be read"):
        decode_audit(b"\xff")

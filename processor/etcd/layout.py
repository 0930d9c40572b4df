"""Keys and values of one shard in etcd. Pure: every value encoded here is decoded here.

This is a stored format (`engine.values.LAYOUT` is its number). Stores outlive releases, and during a rolling update two
releases read the same keys. A field may be added at the end with a default; anything else (a key, the meaning of a
field, another encoding) takes a new layout number, which older releases refuse, and a way to read the old one.

Under `<prefix>/<app>/<shard>/`:

| key | value |
|---|---|
| `head` | JSON of `Head` |
| `owner` | JSON of `Owner`, attached to a lease |
| `state/<kind>/<name>` | the entity as the encoder made it |
| `outbox/<seq>` | packed `EntryFrame`; `outbox/<seq>/<part>` slices of what is too large for it |
| `delta/<seq>` | packed `DeltaFrame`; `delta/<seq>/<part>` likewise |
| `attempts` | JSON of `Attempts` |
| `audit/<ms>` | JSON of `AuditEntry`, for people |

Under `<prefix>/<app>/` also `instances/<id>`: JSON of `Owner`, attached to the lease of a process.

Packed = zstd of MessagePack. A frame says how many parts belong to it: parts beyond that number, or without a frame,
are orphans of a staged commit that was given up, and every reader ignores them.
"""

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import zstandard

from processor.engine.announcements import Announcement, DeadLetter, OutboxEntry
from processor.engine.errors import ShardRefused
from processor.engine.values import LAYOUT, Attempts, AuditEntry, Head, Image

T = TypeVar("T")

SEQ_DIGITS = 20
PART_DIGITS = 6
AUDIT_DIGITS = 13
ZSTD_LEVEL = 1
ID_BYTES = 4


class Owner(msgspec.Struct, frozen=True, omit_defaults=True):
    """The owner of a shard, or an instance, and since when (ms since the epoch). A stored format.

    `instance` is a configured name, or host and pid: two processes may share one. `id` is unique.
    """

    instance: str
    host: str
    pid: int
    since: int
    id: str = ""

    @property
    def key(self) -> str:
        """Its key among the instances: the id; releases without ids use the name."""
        return self.id or self.instance


def unique_id(instance: str) -> str:
    """Return an id for this process that no other process has, even with the same name."""
    return f"{instance}~{secrets.token_hex(ID_BYTES)}"


class EntryFrame(msgspec.Struct, frozen=True, array_like=True):
    """The value of `outbox/<seq>`, a stored format. With parts, announcements and dead letters are in the parts."""

    entry: OutboxEntry
    entry_parts: int = 0
    delta_parts: int = 0


class DeltaFrame(msgspec.Struct, frozen=True, array_like=True):
    """The value of `delta/<seq>`, a stored format: (entity, value or None for a removal). With parts, all are there."""

    images: tuple[tuple[str, bytes | None], ...]
    parts: int = 0


class _Bulk(msgspec.Struct, frozen=True, array_like=True):
    announcements: tuple[Announcement, ...]
    dead_letters: tuple[DeadLetter, ...]


class _LayoutOnly(msgspec.Struct):
    layout: int


class ShardKeys:
    """The keys of one shard; `prefix` begins and does not end with a slash."""

    def __init__(self, prefix: str, app: str, shard: int) -> None:
        self.root = f"{prefix}/{app}/{shard}/".encode()
        self.head = self.root + b"head"
        self.owner = self.root + b"owner"
        self.attempts = self.root + b"attempts"
        self.state = self.root + b"state/"
        self.outbox = self.root + b"outbox/"
        self.delta = self.root + b"delta/"
        self.audit = self.root + b"audit/"

    def entity(self, key: str) -> bytes:
        """Return the key of the entity `<kind>/<name>`."""
        return self.state + key.encode()

    def entity_of(self, key: bytes) -> str:
        """Return `<kind>/<name>` of an entity's key."""
        return key[len(self.state) :].decode()


def instances_folder(root: str) -> bytes:
    """Return the prefix of the keys under which processes register; `root` is `<prefix>/<app>`."""
    return f"{root}/instances/".encode()


def numbered(folder: bytes, seq: int, part: int | None = None) -> bytes:
    """Return `<folder><seq>` or `<folder><seq>/<part>`; ascending in bytes as in numbers. Parts count from 1."""
    key = folder + b"%0*d" % (SEQ_DIGITS, seq)
    return key if part is None else key + b"/%0*d" % (PART_DIGITS, part)


def numbers_of(folder: bytes, key: bytes) -> tuple[int, int | None]:
    """Return (seq, part or None), the inverse of `numbered`."""
    seq, _, part = key[len(folder) :].partition(b"/")
    return int(seq), int(part) if part else None


def end_of(folder: bytes) -> bytes:
    """Return the end of the range of all keys that begin with `folder`, which ends with a slash."""
    return folder[:-1] + b"0"  # "0" follows "/" in ASCII


def encode_head(head: Head) -> bytes:
    """Return the value of `head`."""
    return msgspec.json.encode(head)


def decode_head(value: bytes) -> Head:
    """Return the head. Raises ShardRefused for a newer layout and for an invalid value."""
    try:
        layout = msgspec.json.decode(value, type=_LayoutOnly).layout
        if layout > LAYOUT:
            raise ShardRefused(
                f"the store has layout {layout}, this release knows {LAYOUT}: run the release that wrote it"
            )
        return msgspec.json.decode(value, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ShardRefused(f"head cannot be read ({error}): {value[:200]!r}") from error


def encode_attempts(attempts: Attempts) -> bytes:
    """Return the value of `attempts`."""
    return msgspec.json.encode(attempts)


def decode_attempts(value: bytes) -> Attempts:
    """Return the crash counter. Raises ShardRefused for an invalid value."""
    try:
        return msgspec.json.decode(value, type=Attempts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ShardRefused(f"attempts cannot be read ({error}): {value[:200]!r}") from error


def audit_key(keys: ShardKeys, entry: AuditEntry) -> bytes:
    """Return `audit/<ms>`; ascending in bytes as in time."""
    return keys.audit + b"%0*d" % (AUDIT_DIGITS, entry.at_ms)


def encode_audit(entry: AuditEntry) -> bytes:
    """Return the value of `audit/<ms>`."""
    return msgspec.json.encode(entry)


def decode_audit(value: bytes) -> AuditEntry:
    """Return the entry. Raises ShardRefused for an invalid value."""
    try:
        return msgspec.json.decode(value, type=AuditEntry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ShardRefused(f"the audit log cannot be read ({error}): {value[:200]!r}") from error


def encode_owner(owner: Owner) -> bytes:
    """Return the value of `owner` and of `instances/<id>`."""
    return msgspec.json.encode(owner)


def pack_entry(entry: OutboxEntry) -> bytes:
    """Return the value of an outbox key that needs no parts."""
    return _pack(EntryFrame(entry))


def pack_staged_entry(entry: OutboxEntry, *, part_bytes_max: int, delta_parts: int) -> tuple[bytes, list[bytes]]:
    """Return the frame and the parts of a staged entry; one that fits into a part needs none."""
    bulk = _pack(_Bulk(entry.announcements, entry.dead_letters))
    if len(bulk) <= part_bytes_max:
        return _pack(EntryFrame(entry, 0, delta_parts)), []
    parts = _slices(bulk, part_bytes_max)
    rest = msgspec.structs.replace(entry, announcements=(), dead_letters=())
    return _pack(EntryFrame(rest, len(parts), delta_parts)), parts


def unpack_entry(value: bytes, parts: Mapping[int, bytes], *, where: str) -> OutboxEntry:
    """Return an entry from its frame and all parts found, by number. Raises ShardRefused, naming `where`."""
    frame = _unpack(value, EntryFrame, where)
    if not frame.entry_parts:
        return frame.entry
    bulk = _unpack(_joined(parts, frame.entry_parts, where), _Bulk, where)
    return msgspec.structs.replace(frame.entry, announcements=bulk.announcements, dead_letters=bulk.dead_letters)


def pack_delta(images: Sequence[Image]) -> bytes:
    """Return the value of a delta key that needs no parts."""
    return _pack(DeltaFrame(tuple((image.key, image.value) for image in images)))


def pack_staged_delta(images: Sequence[Image], *, part_bytes_max: int) -> tuple[bytes, list[bytes]]:
    """Return the frame and the parts of a staged delta; one that fits into a part needs none."""
    whole = pack_delta(images)
    if len(whole) <= part_bytes_max:
        return whole, []
    parts = _slices(whole, part_bytes_max)
    return _pack(DeltaFrame((), len(parts))), parts


def unpack_delta(value: bytes, parts: Mapping[int, bytes], *, where: str) -> tuple[Image, ...]:
    """Return the images from a delta's frame and all parts found, by number. Raises ShardRefused, naming `where`."""
    frame = _unpack(value, DeltaFrame, where)
    if frame.parts:
        frame = _unpack(_joined(parts, frame.parts, where), DeltaFrame, where)
    return tuple(Image(key, image) for key, image in frame.images)


def _slices(value: bytes, size: int) -> list[bytes]:
    return [value[start : start + size] for start in range(0, len(value), size)]


def _joined(parts: Mapping[int, bytes], wanted: int, where: str) -> bytes:
    missing = [number for number in range(1, wanted + 1) if number not in parts]
    if missing:
        raise ShardRefused(f"{where} has {wanted} parts, of which these are missing: {missing}")
    return b"".join(parts[number] for number in range(1, wanted + 1))


class _Tools(threading.local):
    # zstandard's objects and msgspec's encoder are not thread-safe, and too expensive to make for each value.
    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()
        self.encoder = msgspec.msgpack.Encoder()


_TOOLS = _Tools()


def _pack(value: object) -> bytes:
    return _TOOLS.compressor.compress(_TOOLS.encoder.encode(value))


def _unpack(value: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.msgpack.decode(_TOOLS.decompressor.decompress(value), type=kind)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ShardRefused(f"{where} cannot be read: {error}") from error

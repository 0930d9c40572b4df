"""The digest of a whole state: a sum over its entities, so that it costs O(changed) to keep.

Σ blake2b-16(`<kind>/<name>` ‖ 00 ‖ body) mod 2^128, big-endian; body is the canonical encoding without framing.
"""

from hashlib import blake2b

MODULUS = 1 << 128


def entity_digest(key: str, body: bytes) -> int:
    """Return one entity's summand."""
    return int.from_bytes(blake2b(key.encode() + b"\x00" + body, digest_size=16).digest(), "big")


def digest_bytes(digest: int) -> bytes:
    """Return the 16 bytes that Avro carries."""
    return digest.to_bytes(16, "big")


def digest_hex(digest: int) -> str:
    """Return the 32 hex digits that JSON carries."""
    return f"{digest:032x}"

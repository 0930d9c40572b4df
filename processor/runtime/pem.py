"""PEM files of certificates and keys, checked before a library reports less, or aborts the process."""

import ssl
from pathlib import Path

from processor.runtime.files import Unreadable, bytes_of

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"
_ENCRYPTED = b"ENCRYPTED"
_MISMATCH = "KEY_VALUES_MISMATCH"


def check_authorities(path: Path) -> bytes:
    """Return the contents of a CA file. Raises ValueError if it has no readable certificate."""
    content = _certificates(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"{path} holds no certificate that can be read: {_reason(error)}") from error
    return content


def check_pair(cert_file: Path, key_file: Path, *, names: tuple[str, str]) -> tuple[bytes, bytes]:
    """Return what is in the files of a certificate and its private key; `names` are those of the two settings.

    Raises ValueError when they cannot be read, or do not belong together.
    """
    certificate, key = _certificates(cert_file, f"{names[0]}: "), _content(key_file, f"{names[1]}: ")
    if _KEY not in key:
        raise ValueError(f"{names[1]}: {key_file} is no PEM file of a private key")
    if _ENCRYPTED in key:
        raise ValueError(f"{names[1]}: the key in {key_file} is encrypted; one without a password is wanted")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == _MISMATCH:
            raise ValueError(f"{names[1]}: {key_file} is not the key of the certificate in {cert_file}") from error
        raise ValueError(f"{' and '.join(names)}: {cert_file} and {key_file}: {_reason(error)}") from error
    return certificate, key


def _certificates(path: Path, name: str = "") -> bytes:
    content = _content(path, name)
    if _CERTIFICATE not in content:
        raise ValueError(f"{name}{path} is no PEM file of certificates: it has no line {_CERTIFICATE.decode()}")
    return content


def _content(path: Path, name: str) -> bytes:
    try:
        return bytes_of(path)
    except Unreadable as error:
        raise ValueError(f"{name}{error}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)

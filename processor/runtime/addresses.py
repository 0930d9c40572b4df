"""Network addresses as settings have them: one grammar for etcd, Kafka and HTTP, and the same words when one is wrong.

An address is `host:port`; an IPv6 host stands in brackets. What is accepted around it (a scheme, a missing host) is up
to the setting. Everything raises ValueError with the form that is wanted.
"""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

PORT_MAX = 65_535
TLS_SCHEME, PLAIN_SCHEME = "https://", "http://"
LOOPBACK = "127.0.0.1"
IP_V6 = 6
_LABEL = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_URL = re.compile(r"([A-Za-z][-A-Za-z0-9+.]*)://(.*)", re.DOTALL)


class Address(NamedTuple):
    """A host, without brackets, and a port; as text, with brackets where the host has colons."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_numeric(self) -> bool:
        """Return whether the host is an IP address, not a name."""
        return _ip_version(self.host) is not None

    @property
    def is_ipv6(self) -> bool:
        """Return whether the host is an IPv6 address."""
        return _ip_version(self.host) == IP_V6


def parse(text: str, *, port_min: int = 1) -> Address:
    """Return the address that a text like `host:port` or `[::1]:port` says."""
    if _URL.fullmatch(text):
        raise _wrong(text, "has a scheme")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise _wrong(text, "has no port")
    if not (port.isascii() and port.isdigit() and port_min <= int(port) <= PORT_MAX):
        raise _wrong(text, f"has no port between {port_min} and {PORT_MAX} at its end")
    return Address(_host(host, text), int(port))


def split_list(value: object) -> object:
    """Split a comma-separated text; lists and tuples pass."""
    return _parts(value) if isinstance(value, str) else value


def endpoint(text: str) -> str:
    """Return `host:port` of an endpoint of etcd, with `http://` or `https://` before it where it was said."""
    url = _URL.fullmatch(text)
    if url is None:
        return str(parse(text))
    scheme, rest = url[1].lower(), url[2].removesuffix("/")
    if scheme not in {"http", "https"}:
        raise _wrong(text, f"has the scheme {url[1]}", wanted="host:port or https://host:port")
    return f"{scheme}://{parse(rest)}"


def scheme_of(text: str) -> str:
    """Return `https://`, `http://`, or nothing, as an endpoint begins."""
    return text[: text.find("://") + 3] if "://" in text else ""


def brokers(text: str) -> str:
    """Return a comma-separated list of brokers without blanks and empty parts."""
    parts = _parts(text)
    for part in parts:
        if url := _URL.fullmatch(part):
            hint = "the protocol is PROCESSOR_KAFKA__SECURITY_PROTOCOL"
            raise _wrong(part, f"has a scheme ({url[1]}://); {hint}", wanted=f"{url[2] or 'host:port'}")
    if not parts:
        raise ValueError("no broker is named; wanted: host:port, for example 127.0.0.1:9092")
    return ",".join(str(parse(part)) for part in parts)


def listen_address(text: str) -> str:
    """Return where to listen: `8080` and `:8080` are 127.0.0.1:8080; port 0 is any free one."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        text = f":{text}"
    return str(parse(f"{LOOPBACK}{text}" if text.startswith(":") and text.count(":") == 1 else text, port_min=0))


def server_url(text: str) -> str:
    """Return the URL of an HTTP API; `host:port` is `http://host:port`."""
    text = text.strip()
    form = "http://host:port, for example http://127.0.0.1:8080"
    if not _URL.fullmatch(text):
        return f"http://{parse(text)}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _wrong(text, f"is no URL ({error})", wanted=form) from error
    if parts.scheme not in {"http", "https"}:
        raise _wrong(text, f"has the scheme {parts.scheme}", wanted=form)
    if not host:
        raise _wrong(text, "names no host", wanted=form)
    if not (_NAME.fullmatch(host) or _ip_version(host)):
        raise _wrong(text, f"has no valid host ({host!r})", wanted=form)
    if "@" in parts.netloc:
        raise ValueError("user and password in the address have no effect: the HTTP API knows no users")
    return text


def _parts(text: str) -> tuple[str, ...]:
    """Return what stands between commas, without blanks around and without empty parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _host(text: str, whole: str) -> str:
    """Return the host without its brackets."""
    if text.startswith("[") and text.endswith("]"):
        if _ip_version(text[1:-1]) != IP_V6:
            raise _wrong(whole, "has no IPv6 address in its brackets")
        return text[1:-1]
    if ":" in text:
        raise _wrong(whole, "is ambiguous", wanted="an IPv6 address in brackets, [::1]:port")
    if not text:
        raise _wrong(whole, "names no host")
    if not _NAME.fullmatch(text) or (text.replace(".", "").isdigit() and _ip_version(text) is None):
        raise _wrong(whole, f"has no valid host ({text!r})")
    return text


def _ip_version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _wrong(text: str, what: str, *, wanted: str = "host:port, an IPv6 host in brackets") -> ValueError:
    if "@" in text:  # and it is not repeated
        return ValueError("user and password do not belong into an address: they have settings; wanted: host:port")
    return ValueError(f"{text!r} {what}; wanted: {wanted}")

"""Environment variables that Kubernetes and Docker inject for a Service or a link, which are not settings.

A Service called `processor` or `processor-etcd` gives every container of its namespace `PROCESSOR_SERVICE_HOST` or
`PROCESSOR_ETCD_PORT=tcp://…`. A variable counts as injected when both its name and its value have the injected form,
so that `PROCESSOR_PORT=8080`, which a person wrote, does not.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORT_MAX: Final = 65_535
TRANSPORTS: Final = ("tcp", "udp", "sctp")

Form = tuple[re.Pattern[str], Callable[[str], bool]]


def is_injected(variable: str, environment: Mapping[str, str]) -> bool:
    """Return whether Kubernetes (for a Service) or Docker (for a link) has set this variable."""
    value = environment[variable]
    return any(name.fullmatch(variable) and stated(value) for name, stated in FORMS) or _of_link(variable, environment)


def _is_ip(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and int(value) <= PORT_MAX


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in TRANSPORTS and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


FORMS: Final[tuple[Form, ...]] = (
    (re.compile(r".+_SERVICE_HOST"), _is_ip),
    (re.compile(r".+_SERVICE_PORT(_[A-Z0-9_]+)?"), _is_port),
    (re.compile(r".+_PORT(_\d+_(TCP|UDP|SCTP)(_START|_END)?)?"), _is_address),
    (re.compile(r".+_PORT_\d+_(TCP|UDP|SCTP)_PROTO"), TRANSPORTS.__contains__),
    (re.compile(r".+_PORT_\d+_(TCP|UDP|SCTP)_PORT(_START|_END)?"), _is_port),
    (re.compile(r".+_PORT_\d+_(TCP|UDP|SCTP)_ADDR"), _is_ip),
)
LINK_VALUE: Final = re.compile(r"/[^/\s]+/[^/\s]+")
LINK_VARIABLE: Final = re.compile(r"(?P<alias>.+?)_(NAME|ENV_.+)")


def _of_link(variable: str, environment: Mapping[str, str]) -> bool:
    """Return whether a Docker link set it: `…_NAME` is `/container/alias`, `…_ENV_…` are variables of the container."""
    match = LINK_VARIABLE.fullmatch(variable)
    return match is not None and LINK_VALUE.fullmatch(environment.get(f"{match['alias']}_NAME", "")) is not None

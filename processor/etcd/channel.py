"""How etcd is reached: addresses, TLS, and the one channel of a client."""

import ipaddress
import socket
from collections.abc import Sequence

import grpc
import msgspec

from processor.engine.errors import StoreUnavailable


class Access(msgspec.Struct, frozen=True):
    """Where etcd is and who we are. `endpoints` are host:port; certificates and key are PEM.

    TLS is used when `ca` is given; `certificate` and `private_key` come together or not at all. With several endpoints
    every member's certificate has to be valid for the host of the first one.
    """

    endpoints: tuple[str, ...]
    ca: bytes | None = None
    certificate: bytes | None = None
    private_key: bytes | None = None
    username: str | None = None
    password: str | None = None


OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.lb_policy_name", "round_robin"),  # a dead member is skipped
    ("grpc.max_receive_message_length", -1),  # the default of 4 MiB is less than a page of a snapshot
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),  # the default of two minutes would outlast every outage
    ("grpc.keepalive_time_ms", 6_000),  # etcd drops who pings more often than every 5 s
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(access: Access) -> grpc.Channel:
    """Open a channel to all endpoints. Raises StoreUnavailable when no name can be resolved."""
    target = target_of(access.endpoints)
    if access.ca is None:
        return grpc.insecure_channel(target, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(access.ca, access.private_key, access.certificate)
    # Members are addressed by number once their names are resolved; the certificate is for the name.
    name = ("grpc.ssl_target_name_override", _host(access.endpoints[0]))
    return grpc.secure_channel(target, credentials, options=(*OPTIONS, name))


def target_of(endpoints: Sequence[str]) -> str:
    """Return grpc's name for the endpoints: one name is resolved by grpc again and again, several once, here."""
    if len(endpoints) == 1 and not _is_number(_host(endpoints[0])):
        return f"dns:///{endpoints[0]}"
    addresses = [address for endpoint in endpoints for address in _addresses(endpoint)]
    if not addresses:
        raise StoreUnavailable(f"none of etcd's names can be resolved: {', '.join(endpoints)}")
    family = "ipv6" if addresses[0].startswith("[") else "ipv4"
    return f"{family}:{','.join(dict.fromkeys(addresses))}"


def _addresses(endpoint: str) -> list[str]:
    host, port = _host(endpoint), endpoint.rpartition(":")[2]
    if _is_number(host):
        return [endpoint]
    try:
        found = socket.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return []  # a member that has no address now is as good as a dead one
    return [f"{address[4][0]}:{port}" for address in found]


def _host(endpoint: str) -> str:
    return endpoint.rpartition(":")[0].strip("[]") or "127.0.0.1"


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

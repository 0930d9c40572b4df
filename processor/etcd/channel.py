"""Addresses, TLS and options of the channel to etcd."""

import socket
from collections.abc import Sequence

import grpc
import msgspec

from processor.engine.errors import StoreUnavailable
from processor.runtime.addresses import Address, parse


class Access(msgspec.Struct, frozen=True):
    """Addresses and credentials. `endpoints` are host:port; certificates and key are PEM; our keys are below `root`.

    TLS is used when `tls` is set or `ca` is given, without `ca` with the authorities that grpc comes with;
    `certificate` and `private_key` come together or not at all. With several endpoints every member's certificate has
    to be valid for the host of the first one.
    """

    endpoints: tuple[str, ...]
    root: str = "/"
    tls: bool = False
    ca: bytes | None = None
    certificate: bytes | None = None
    private_key: bytes | None = None
    username: str | None = None
    password: str | None = None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used."""
        return self.tls or self.ca is not None

    def has_channel_of(self, other: "Access") -> bool:
        """Tell whether a channel made for `other` serves this access, too."""
        return msgspec.structs.replace(self, username=other.username, password=other.password) == other


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
    ("grpc.enable_http_proxy", 0),  # http_proxy is meant for the web; etcd is next door
)


def open_channel(access: Access, target: str) -> grpc.Channel:
    """Open a channel to grpc's name of all endpoints."""
    if not access.encrypted:
        return grpc.insecure_channel(target, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(access.ca, access.private_key, access.certificate)
    # Members are addressed by number once their names are resolved; the certificate is for the name.
    name = ("grpc.ssl_target_name_override", parse(access.endpoints[0]).host)
    return grpc.secure_channel(target, credentials, options=(*OPTIONS, name))


def target_of(endpoints: Sequence[str]) -> str:
    """Return grpc's name for the endpoints: one name is resolved by grpc again and again, several here, as of now.

    A list of grpc has one family: with an IPv6 address in it, IPv4 ones are written as IPv6 (`::ffff:…`). Raises
    StoreUnavailable when no name can be resolved.
    """
    named = [parse(endpoint) for endpoint in endpoints]
    if len(named) == 1 and not named[0].is_numeric:
        return f"dns:///{named[0]}"
    found = list(dict.fromkeys(address for endpoint in named for address in _resolved(endpoint)))
    if not found:
        raise StoreUnavailable(f"none of etcd's names can be resolved: {', '.join(endpoints)}")
    if not any(address.is_ipv6 for address in found):
        return f"ipv4:{','.join(map(str, found))}"
    return f"ipv6:{','.join(str(_as_ipv6(address)) for address in found)}"


def _as_ipv6(address: Address) -> Address:
    return address if address.is_ipv6 else Address(f"::ffff:{address.host}", address.port)


def _resolved(endpoint: Address) -> list[Address]:
    """Return the addresses of a member, of the families that this machine has a network of."""
    if endpoint.is_numeric:
        return [endpoint]
    for flags in (socket.AI_ADDRCONFIG, 0):  # a machine with nothing but loopback has no network
        try:
            found = socket.getaddrinfo(*endpoint, type=socket.SOCK_STREAM, flags=flags)
        except OSError:
            continue  # a member without an address counts as dead
        return [Address(str(address[4][0]), endpoint.port) for address in found]
    return []

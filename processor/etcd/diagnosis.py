"""Why etcd refuses us: its words, and what a TLS handshake of our own finds out where gRPC only says "unavailable".

Each answer is a sentence that names the setting to look at.
"""

import socket
import ssl

import grpc

from processor.etcd.channel import Access
from processor.runtime.addresses import Address, parse

PROBE_TIMEOUT_S = 1.0
ANSWER_BYTES = 1_024
PREFIX = "PROCESSOR_ETCD__"
REFUSALS = {
    "authentication failed": "the password of {who} is wrong, or there is no such user: see {credentials}",
    "user name not found": "there is no such user: see {credentials}",
    "user name is empty": "it wants a user and a password: set {credentials}",
    "authentication is not enabled": "it has no users, so {credentials} protect nothing: unset them, or let it have "
    "users (etcdctl auth enable)",
    "permission denied": "it does not let {who} do that: the role needs readwrite on the prefix {root} "
    "(etcdctl role grant-permission ROLE readwrite {root} --prefix=true)",
}
"""etcd's words → what they mean for us."""
_HOST_MISMATCH = {62, 64}
_EXPIRED = 10
_NOT_YET_VALID = 9
"""OpenSSL's X509_V_ERR_…"""
_NOT_OURS = ("etcdserver:", "DNS resolution failed", "refused", "timed out", "Timeout")
"""Words of errors that no handshake explains: the server answered, or nobody is there."""


def refusal(details: str, access: Access) -> str:
    """Explain an error that etcd itself gave for who we are or what we may do; empty when it is none."""
    sentence = next((sentence for words, sentence in REFUSALS.items() if words in details), "")
    who = f"user {access.username}" if access.username else "us"
    return sentence.format(who=who, root=access.root, credentials=f"{PREFIX}USERNAME and {PREFIX}PASSWORD")


def unreachable(error: grpc.RpcError, access: Access) -> str:
    """Explain why no connection comes about, asking each member with a handshake; empty when nothing is found.

    Takes PROBE_TIMEOUT_S a member at most, and no time where nobody listens.
    """
    details = error.details() or ""
    if error.code() is not grpc.StatusCode.UNAVAILABLE or any(word in details for word in _NOT_OURS):
        return ""
    for endpoint in access.endpoints:
        if cause := cause_at(parse(endpoint), access, alerted="TSI_" in details):
            return f"{endpoint} {cause}"
    return ""


def cause_at(address: Address, access: Access, *, alerted: bool = False) -> str:
    """Return why this member and we cannot talk, empty when nothing is found.

    `alerted`: gRPC's own handshake, with our certificate, was broken off by the server.
    """
    try:
        return _of_tls(address, access, alerted=alerted) if access.encrypted else _of_plain(address)
    except OSError:
        return ""


def cause_of_member(address: Address, access: Access) -> str:
    """Return why this member cannot be talked to, empty when it can as far as a handshake tells."""
    try:
        _connected(address).close()
    except OSError as error:
        return f"does not answer: {error}"
    return cause_at(address, access)


def _of_plain(address: Address) -> str:
    """Tell whether the server speaks TLS, which we do not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(address) as connection, context.wrap_socket(connection):
            speaks_tls = True
    except ssl.SSLError as error:
        speaks_tls = "ALERT" in (error.reason or "")
    return f"speaks TLS: set {PREFIX}CA_FILE, or write https:// before the endpoints" if speaks_tls else ""


def _of_tls(address: Address, access: Access, *, alerted: bool) -> str:
    host = parse(access.endpoints[0]).host
    context = ssl.create_default_context(cadata=access.ca.decode("ascii", "replace") if access.ca else None)
    context.set_alpn_protocols(["h2"])
    try:
        with _connected(address) as connection, context.wrap_socket(connection, server_hostname=host) as secured:
            secured.recv(1)  # in TLS 1.3 the server judges the client after the handshake
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(error, host, access)
    except TimeoutError:
        return ""
    except (ssl.SSLError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or ""
        if "ALERT" in reason and "CERTIFICATE" in reason:
            return _of_client_certificate(access, alerted=alerted)
        return _unless_http(address)
    return ""


def _of_certificate(error: ssl.SSLCertVerificationError, host: str, access: Access) -> str:
    if error.verify_code in _HOST_MISMATCH:
        return (
            f"has a certificate that is not valid for {host}: name it in {PREFIX}ENDPOINTS by a name or address "
            "that stands in the certificate"
        )
    if error.verify_code == _EXPIRED:
        return "has a certificate that has expired"
    if error.verify_code == _NOT_YET_VALID:
        return "has a certificate that is not valid yet: compare the clocks"
    signer = f"the authority in {PREFIX}CA_FILE" if access.ca else f"a public authority ({PREFIX}CA_FILE is not set)"
    return f"has a certificate that is not signed by {signer}: {error.verify_message}"


def _of_client_certificate(access: Access, *, alerted: bool) -> str:
    if access.certificate is None:
        return f"wants a client certificate: set {PREFIX}CERT_FILE and {PREFIX}KEY_FILE"
    if alerted:  # the probe has none to show, so only gRPC knows whether ours is taken
        return f"does not take our client certificate: see {PREFIX}CERT_FILE (its signer, its dates, its purposes)"
    return ""


def _unless_http(address: Address) -> str:
    """Tell that the server speaks plain HTTP where it does."""
    with _connected(address) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        answer = connection.recv(ANSWER_BYTES)
    if not answer.startswith(b"HTTP/1") or b"HTTPS" in answer:
        return ""
    return f"does not speak TLS: unset {PREFIX}CA_FILE and write no https:// before the endpoints"


def _connected(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=PROBE_TIMEOUT_S)

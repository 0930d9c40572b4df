"""Why brokers cannot be used: the errors of the clients of a connection, as a sentence that names the setting.

A call that fails says only "Broker transport failure". The cause comes earlier and elsewhere: librdkafka hands every
failed attempt to connect to the client's `error_cb`, when the client is polled. So all clients of a connection share
one `Causes`, and whoever reports a failure polls its client first (`connection.cause_of`).
"""

import re
import socket
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError

RECENT_S = 15.0
"""An error explains failures for so long; brokers that stay away are tried again every second."""
HANDSHAKE_TIMEOUT_S = 2.0

ALL_DOWN: int = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the library's own name for it
RESOLVE: int = KafkaError._RESOLVE  # noqa: SLF001 - as above
AUTHENTICATION: int = KafkaError._AUTHENTICATION  # noqa: SLF001 - as above

SECRET_PARTS = ("password", "secret", "pem", "passphrase", "oauthbearer.config")
"""Parts of the names of properties whose values must not be shown."""
MASK = "********"
ECHO = re.compile(r'Invalid value ".*" for')
ADDRESS = re.compile(r"^(?:\w+://)?(\S+?)/\S+?: ")
TIMING = re.compile(r" \(after \d+ms in state \w+\)")
MECHANISMS = re.compile(r"broker's supported mechanisms: (.*)$")
USER_INFO = re.compile(r"//[^/@]*@")
NOT_ACQUIRED = "Failed to acquire SASL OAUTHBEARER token: "
ISSUER_CERTIFICATE = ("trust anchors", "SSL certificate")
ISSUER_SILENT = ("connect", "resolve", "timed out", "Timeout", "SSL", " failure", "Empty reply")
CLIENT_CERTIFICATE = ("alert bad certificate", "certificate required", "alert unknown ca", "alert certificate")
HOST_MISMATCH = frozenset({62, 64})  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
SERVERS = "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS"
PROTOCOL = "PROCESSOR_KAFKA__SECURITY_PROTOCOL"


class Causes:
    """The last errors of the clients of one connection. Safe from any thread: each field is written as a whole."""

    def __init__(self) -> None:
        self._told: tuple[int, str] | None = None
        self._told_s = 0.0
        self._all_down_s = 0.0
        self._handshakes: dict[str, tuple[float, ssl.SSLCertVerificationError | None]] = {}

    def note(self, error: KafkaError) -> None:
        """Remember an error; the `error_cb` of every client."""
        if error.code() == ALL_DOWN:
            self._all_down_s = monotonic()
        else:
            self._told, self._told_s = (error.code(), error.str()), monotonic()

    def sentence(self, properties: Mapping[str, Any]) -> str:
        """Return why connections with these properties failed recently, empty if unknown."""
        now_s = monotonic()
        if self._told is not None and now_s - self._told_s < RECENT_S:
            return without_secrets(self._sentence(*self._told, properties), properties)
        if self._all_down_s and now_s - self._all_down_s < RECENT_S:
            return _closed_without_a_word(properties)
        return ""

    def _sentence(self, code: int, text: str, properties: Mapping[str, Any]) -> str:
        found = ADDRESS.match(text)
        address, said = (found[1], text[found.end() :]) if found else ("", text)
        said = TIMING.sub("", said)
        at = f" at {address}" if address else ""
        if code == AUTHENTICATION:
            return _not_let_in(said, at, properties)
        if "certificate verify failed" in said:
            return _broker_certificate(address, properties, self._handshake_failure(address, properties))
        if any(alert in said for alert in CLIENT_CERTIFICATE):
            return _client_certificate(at, properties)
        hung_up = "closed by peer" in said and "SSL_HANDSHAKE" in text
        if hung_up or "PLAINTEXT broker listener?" in said or "wrong version number" in said:
            return f"Kafka{at} does not speak TLS: {_see_protocol(properties)}"
        if code == RESOLVE or "Connection refused" in said:
            return f"{said}: see {SERVERS}"
        return said

    def _handshake_failure(self, address: str, properties: Mapping[str, Any]) -> ssl.SSLCertVerificationError | None:
        """Repeat the handshake, but not more often than causes expire."""
        known = self._handshakes.get(address)
        if known is None or monotonic() - known[0] > RECENT_S:
            known = (monotonic(), _verification_failure(address, properties.get("ssl.ca.location")))
            self._handshakes = {address: known}
        return known[1]


def without_secrets(text: str, properties: Mapping[str, Any]) -> str:
    """Return a message of librdkafka without the property values that it repeats."""
    text = ECHO.sub("Invalid value for", text)
    for name, value in properties.items():
        if value and any(part in name for part in SECRET_PARTS):
            text = text.replace(str(value), MASK)
    return text


def principal_of(properties: Mapping[str, Any]) -> str:
    """Return the principal that brokers see, as an ACL names it, as far as it is known."""
    if user_of(properties):
        return f"User:{user_of(properties)}"
    certificate = properties.get("ssl.certificate.location") or properties.get("ssl.keystore.location")
    return f"the principal of certificate {certificate}" if certificate else "User:ANONYMOUS"


def user_of(properties: Mapping[str, Any]) -> str:
    """Return the SASL user, or client id, empty when there is none."""
    return str(properties.get("sasl.username") or properties.get("sasl.oauthbearer.client.id") or "")


def _not_let_in(said: str, at: str, properties: Mapping[str, Any]) -> str:
    mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms")
    taken = MECHANISMS.search(said)
    if taken is not None and taken[1].strip():
        setting = "PROCESSOR_KAFKA__SASL_MECHANISM"
        return f"Kafka{at} does not take SASL mechanism {mechanism} but {taken[1]}: see {setting}"
    if taken is not None:
        return f"Kafka{at} does not want SASL: {_see_protocol(properties)}"
    if mechanism == "OAUTHBEARER":
        return _no_token(said, at, properties)
    settings = "PROCESSOR_KAFKA__SASL_USERNAME and PROCESSOR_KAFKA__SASL_PASSWORD (or …_FILE)"
    return f"Kafka{at} refuses the password of user {user_of(properties)} ({mechanism}): see {settings}"


def _no_token(said: str, at: str, properties: Mapping[str, Any]) -> str:
    extra = "in PROCESSOR_KAFKA__EXTRA"
    if NOT_ACQUIRED not in said:
        token = f"the token of client {user_of(properties)}"
        return (
            f"Kafka{at} refuses {token}: is it for the audience, and of the issuer, that the brokers expect? [{said}]"
        )
    if any(part in said for part in ISSUER_CERTIFICATE):
        remedy = f"see https.ca.location {extra} (a file of authorities)"
    elif any(part in said for part in ISSUER_SILENT):
        remedy = f"see sasl.oauthbearer.token.endpoint.url {extra}, and whether the issuer runs"
    else:
        names = "sasl.oauthbearer.client.id, .client.secret, .scope and .token.endpoint.url"
        remedy = f"see {names} {extra}"
    endpoint = str(properties.get("sasl.oauthbearer.token.endpoint.url", ""))
    url = USER_INFO.sub("//", endpoint.partition("?")[0])
    return f"no OAUTHBEARER token was had from {url}: {said.removeprefix(NOT_ACQUIRED)}: {remedy}"


def _broker_certificate(
    address: str, properties: Mapping[str, Any], failure: ssl.SSLCertVerificationError | None
) -> str:
    ca_file = properties.get("ssl.ca.location")
    authority = (
        f"PROCESSOR_KAFKA__CA_FILE ({ca_file})" if ca_file else "this machine's store: set PROCESSOR_KAFKA__CA_FILE"
    )
    unsigned = f"is not signed by an authority in {authority}"
    misnamed = f"is not for this host name: see {SERVERS} and the broker's advertised.listeners"
    shown = f"the certificate that the broker at {address} shows"
    if failure is None:
        return f"{shown} {unsigned}, or {misnamed}"
    if failure.verify_code in HOST_MISMATCH:
        return f"{shown} {misnamed}"
    if failure.verify_code == EXPIRED:
        return f"{shown} has expired: the broker needs a new one"
    return f"{shown} {unsigned}: {failure.verify_message}"


def _verification_failure(address: str, ca_file: str | None) -> ssl.SSLCertVerificationError | None:
    """Verify again: librdkafka has one message for every reason. None if the certificate does not fail."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        context = ssl.create_default_context(cafile=ca_file)
        with (
            socket.create_connection((host, int(port)), timeout=HANDSHAKE_TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as failure:
        return failure
    except (OSError, ValueError):
        return None


def _client_certificate(at: str, properties: Mapping[str, Any]) -> str:
    certificate = properties.get("ssl.certificate.location")
    if certificate:
        return (
            f"Kafka{at} does not accept the client certificate {certificate} (PROCESSOR_KAFKA__CERT_FILE): "
            "is it signed by an authority that the broker trusts, and still valid?"
        )
    return f"Kafka{at} wants a client certificate: set PROCESSOR_KAFKA__CERT_FILE and PROCESSOR_KAFKA__KEY_FILE"


def _closed_without_a_word(properties: Mapping[str, Any]) -> str:
    return (
        "the brokers close connections without a word: they stop, or it is a listener of another protocol (plain "
        f"text at a TLS port, for example): {_see_protocol(properties)}"
    )


def _see_protocol(properties: Mapping[str, Any]) -> str:
    protocol = str(properties.get("security.protocol", "PLAINTEXT")).upper()
    return f"see {PROTOCOL} (it is {protocol}) and the port in {SERVERS}"

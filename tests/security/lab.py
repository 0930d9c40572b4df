"""One secured Kafka for tests: listeners of every protocol, users, and an authorizer that denies what is not allowed.

The listener ADMIN is plain, on the loopback interface, and its client is a super user: tests arrange things there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.integration.servers import free_port
from tests.local_servers import LocalServer
from tests.security.certificates import Authority, Certificate
from tests.security.issuer import Client, Issuer

ANSWER_TIMEOUT_S = 30.0
SCRAM_ITERATIONS = 4096
PASSWORD = "open-sesame"  # noqa: S105 - of a test's own server
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
OAUTH = "org.apache.kafka.common.security.oauthbearer"
OAUTH_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
AUDIENCE = "kafka"
# Client id → who may ask the issuer for tokens.
CLIENTS = {"fleet": Client("sign-4711", AUDIENCE), "stray": Client("sign-0815", "elsewhere")}
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"

LISTENERS: Mapping[str, str] = {
    "ADMIN": "PLAINTEXT",
    "TLS": "SSL",
    "MTLS": "SSL",
    "ELSEWHERE": "SSL",
    "SASL": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "OAUTH": "SASL_SSL",
}
"""Listener → protocol. ELSEWHERE shows the certificate of another host."""


@dataclass(frozen=True)
class Lab:
    """The broker with its certificates; `ports` is listener → port."""

    server: LocalServer
    ports: Mapping[str, int]
    authority: Authority
    stranger: Authority
    client: Certificate
    foreign_client: Certificate
    issuer: Issuer

    def address(self, listener: str) -> str:
        """Return host:port of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    def admin(self) -> AdminClient:
        """Return a client that may do everything."""
        return AdminClient({"bootstrap.servers": self.address("ADMIN")})

    def settings(self, listener: str, user: str = "", **changes: str) -> dict[str, str]:
        """Return the settings of Kafka that are right for a listener, with `changes`, as environment variables."""
        protocol = LISTENERS[listener]
        chosen = {"BOOTSTRAP_SERVERS": self.address(listener), "SECURITY_PROTOCOL": protocol}
        if protocol.endswith("SSL"):
            chosen["CA_FILE"] = str(self.authority.ca_file)
        if listener == "MTLS":
            chosen |= {"CERT_FILE": str(self.client.cert_file), "KEY_FILE": str(self.client.key_file)}
        if protocol.startswith("SASL"):
            chosen |= {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": user, "SASL_PASSWORD": PASSWORD}
        if protocol == "SASL_PLAINTEXT":
            chosen["ALLOW_PLAINTEXT"] = "true"
        merged = chosen | changes
        return {f"PROCESSOR_KAFKA__{name}": value for name, value in merged.items() if value}

    def oauth(self, client_id: str, secret: str = "", **changes: str) -> dict[str, str]:
        """Return the settings of the OAUTH listener for a client; `secret` empty: the right one."""
        properties = {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": client_id,
            "sasl.oauthbearer.client.secret": secret or CLIENTS[client_id].secret,
            "sasl.oauthbearer.token.endpoint.url": self.issuer.url,
            "https.ca.location": str(self.authority.ca_file),
        }
        mechanism = {"SASL_MECHANISM": "OAUTHBEARER", "SASL_USERNAME": "", "SASL_PASSWORD": ""}
        return self.settings("OAUTH", **{"EXTRA": json.dumps(properties), **mechanism, **changes})

    def close(self) -> None:
        """End the broker and the issuer."""
        self.server.stop()
        self.issuer.close()

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        """Let a user in with SCRAM-SHA-512; a second time it changes the password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
        change = UserScramCredentialUpsertion(name, info, password.encode())
        self._administer(lambda admin: admin.alter_user_scram_credentials([change]))

    def allow(self, principal: str, rights: Sequence[Any]) -> None:
        """Give rights (`processor.kafka.rights.Right`) to a principal."""
        bindings = [_binding(AclBinding, principal, right) for right in rights]
        self._administer(lambda admin: admin.create_acls(bindings))

    def withdraw(self, principal: str, rights: Sequence[Any]) -> None:
        """Take rights away from a principal."""
        filters = [_binding(AclBindingFilter, principal, right) for right in rights]
        assert all(self._administer(lambda admin: admin.delete_acls(filters))), "there was no such right"

    def _administer(self, ask: Callable[[AdminClient], Mapping[Any, Any]]) -> list[Any]:
        admin = self.admin()  # it has to live until it is answered
        return [answer.result(ANSWER_TIMEOUT_S) for answer in ask(admin).values()]


def build(directory: Path) -> Lab:
    """Make certificates and start issuer and broker; end them with `close`."""
    authority, stranger = Authority(directory, "authority"), Authority(directory, "stranger")
    ports = {listener: free_port() for listener in LISTENERS}
    controller = free_port()
    issuer = Issuer(directory, authority.issue("issuer"), CLIENTS)
    options = [*_options(authority, ports, controller), *_oauth_options(issuer)]
    # a broker asks nobody for keys who is not named like this
    allowed = {"JAVA_TOOL_OPTIONS": f"-D{OAUTH_URLS}=file://{issuer.keys_file}"}
    server = LocalServer("kafka", directory, tuple(options), port=ports["ADMIN"], environment=allowed)
    server.start()
    client, foreign = authority.issue("client"), stranger.issue("client")
    return Lab(server, ports, authority, stranger, client, foreign, issuer)


def _options(authority: Authority, ports: Mapping[str, int], controller: int) -> list[str]:
    at = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    protocols = ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items())
    good = authority.issue("broker").server_file()
    other = authority.issue("elsewhere", ("DNS:elsewhere.example",)).server_file()
    options = [
        f"listeners={at},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners={at}",
        f"listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name=ADMIN",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",
        "ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/,DEFAULT",
        "listener.name.mtls.ssl.client.auth=required",
    ]
    for listener, protocol in LISTENERS.items():
        name = f"listener.name.{listener.lower()}"
        if protocol.endswith("SSL"):
            shown = other if listener == "ELSEWHERE" else good
            options += [f"{name}.ssl.{store}.type=PEM" for store in ("keystore", "truststore")]
            options += [f"{name}.ssl.keystore.location={shown}", f"{name}.ssl.truststore.location={authority.ca_file}"]
        if protocol.startswith("SASL") and listener != "OAUTH":
            options += [
                f"{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
                f'{name}.plain.sasl.jaas.config={PLAIN} required user_plain="{PASSWORD}";',
                f"{name}.scram-sha-512.sasl.jaas.config={SCRAM} required;",
            ]
    return options


def _oauth_options(issuer: Issuer) -> list[str]:
    name = "listener.name.oauth"
    return [
        f"{name}.sasl.enabled.mechanisms=OAUTHBEARER",
        f"{name}.oauthbearer.sasl.jaas.config={OAUTH}.OAuthBearerLoginModule required;",
        f"{name}.oauthbearer.sasl.server.callback.handler.class={OAUTH}.OAuthBearerValidatorCallbackHandler",
        f"sasl.oauthbearer.jwks.endpoint.url=file://{issuer.keys_file}",
        f"sasl.oauthbearer.expected.audience={AUDIENCE}",
        f"sasl.oauthbearer.expected.issuer={issuer.url}",
    ]


def _binding(kind: Any, principal: str, right: Any) -> Any:
    return kind(
        ResourceType[right.resource],
        right.name,
        ResourcePatternType[right.pattern],
        principal,
        "*",
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )

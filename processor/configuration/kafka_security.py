"""Checks that Kafka's security settings fit together: refuses secrets sent in clear and settings without effect.

The rules apply to librdkafka's properties, so that those of `kafka.extra` are checked like the settings themselves.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

PREFIX = "PROCESSOR_KAFKA__"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
"""SASL mechanisms of the librdkafka that ships with confluent-kafka."""
SETTINGS: Mapping[str, str] = {
    "security.protocol": "SECURITY_PROTOCOL",
    "sasl.mechanism": "SASL_MECHANISM",
    "sasl.username": "SASL_USERNAME",
    "sasl.password": "SASL_PASSWORD",
    "ssl.ca.location": "CA_FILE",
    "ssl.certificate.location": "CERT_FILE",
    "ssl.key.location": "KEY_FILE",
    "ssl.key.password": "KEY_PASSWORD",
}
"""Property → setting, without the prefix."""
CALLBACKS = frozenset({"logger", "on_commit", "default.topic.config"})
"""Properties of the Python client whose values are callables or objects."""
FILES = frozenset({f"ssl.{name}.location" for name in ("ca", "certificate", "key", "keystore", "crl")}) | {
    "https.ca.location"
}
PEM_BEGIN = b"-----BEGIN "
LOOKED_AT_BYTES = 65_536


def problems(properties: Mapping[str, Any], extra: Mapping[str, Any], *, allow_plaintext: bool) -> Iterator[str]:
    """Yield the problems of a connection's properties; `extra` are those from `kafka.extra`."""
    protocol = str(properties.get("security.protocol", "PLAINTEXT")).upper()
    mechanism = str(properties.get("sasl.mechanism", properties.get("sasl.mechanisms", ""))).upper()
    yield from _extra(extra)
    if protocol not in PROTOCOLS:
        yield f"{_name('security.protocol', extra)}: there is no such protocol: {', '.join(PROTOCOLS)}"
        return
    yield from _without_effect(protocol, properties, extra)
    yield from _pairs(properties, extra)
    if protocol.startswith("SASL"):
        yield from _sasl(mechanism, properties, extra)
    if protocol.startswith("SASL") and mechanism == "OAUTHBEARER":
        yield from _token(properties, allow_plaintext=allow_plaintext)
    if protocol == "SASL_PLAINTEXT" and not allow_plaintext:
        yield (
            "with SASL_PLAINTEXT credentials go over the network unencrypted: use SASL_SSL, or allow it with "
            f"{PREFIX}ALLOW_PLAINTEXT=true"
        )


def overruled(given: Collection[str], extra: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings, of those `given` by name, that a property in `kafka.extra` overrides."""
    for name, setting in SETTINGS.items():
        if name in extra and setting.lower() in given:
            yield f"{PREFIX}{setting} has no effect: {name} in {PREFIX}EXTRA wins over it: keep one of them"


def weaknesses(properties: Mapping[str, Any]) -> Iterator[str]:
    """Yield the properties that allow a man in the middle despite encryption."""
    for name, off in (
        ("enable.ssl.certificate.verification", "false"),
        ("ssl.endpoint.identification.algorithm", "none"),
    ):
        if str(properties.get(name, "")).lower() == off:
            yield f"{PREFIX}EXTRA: {name}={off}: whoever is in between can pass for a broker and read credentials"


def unreadable(path: Path) -> str:
    """Return the problem of a PEM file, empty if there is none."""
    try:
        with path.open("rb") as file:
            begins = PEM_BEGIN in file.read(LOOKED_AT_BYTES)
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    return "" if begins else f"{path} is no PEM file: it has no line that begins with {PEM_BEGIN.decode()}"


def _extra(extra: Mapping[str, Any]) -> Iterator[str]:
    if "bootstrap.servers" in extra:
        yield f"{PREFIX}EXTRA: bootstrap.servers has no effect there: set {PREFIX}BOOTSTRAP_SERVERS"
    for name in sorted(FILES.intersection(extra)):
        if extra[name] != "probe" and not os.access(str(extra[name]), os.R_OK):
            yield f"{PREFIX}EXTRA: {name}: cannot read {extra[name]}"
    for name, value in extra.items():
        if name.endswith("_cb") or name in CALLBACKS:
            yield f"{PREFIX}EXTRA: {name} is no property of librdkafka"
        elif not isinstance(value, str | int | float):
            yield f"{PREFIX}EXTRA: the value of {name} is neither text, number nor true or false"


def _without_effect(protocol: str, properties: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[str]:
    for beginning, part, remedy in (("sasl.", "SASL", "SASL_SSL"), ("ssl.", "SSL", "SSL or SASL_SSL")):
        if part in protocol.split("_"):
            continue
        for name in properties:
            if name.startswith(beginning):
                yield f"{_name(name, extra)} has no effect with {PREFIX}SECURITY_PROTOCOL={protocol}: set {remedy}"


def _pairs(properties: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[str]:
    for name, needed in (
        ("ssl.certificate.location", "ssl.key.location"),
        ("ssl.key.location", "ssl.certificate.location"),
        ("ssl.key.password", "ssl.key.location"),
    ):
        given_otherwise = needed.replace(".location", ".pem") in properties
        if name in properties and needed not in properties and not given_otherwise:
            yield f"{_name(name, extra)} needs {PREFIX}{SETTINGS[needed]}, too"


def _sasl(mechanism: str, properties: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[str]:
    setting = _name("sasl.mechanism", extra)
    if mechanism not in MECHANISMS:
        wrong = f"{mechanism} is not known" if mechanism else "it has to be set"
        yield f"{setting}: {wrong}: {', '.join(MECHANISMS)}"
        return
    for name in ("sasl.username", "sasl.password"):
        if mechanism == "OAUTHBEARER" and name in properties:
            yield f"{_name(name, extra)} has no effect with OAUTHBEARER: set sasl.oauthbearer.* in {PREFIX}EXTRA"
        elif mechanism != "OAUTHBEARER" and name not in properties:
            yield f"{PREFIX}{SETTINGS[name]} (or {PREFIX}{SETTINGS[name]}_FILE) has to be set for {mechanism}"
    if mechanism != "OAUTHBEARER":
        for name in properties:
            if name.startswith("sasl.oauthbearer."):
                yield f"{_name(name, extra)} has no effect with {mechanism}: set {PREFIX}SASL_MECHANISM=OAUTHBEARER"


def _token(properties: Mapping[str, Any], *, allow_plaintext: bool) -> Iterator[str]:
    unsigned = str(properties.get("enable.sasl.oauthbearer.unsecure.jwt", False)).lower() == "true"
    if not unsigned and str(properties.get("sasl.oauthbearer.method")).lower() != "oidc":
        yield f"{PREFIX}EXTRA: sasl.oauthbearer.method has to be oidc for OAUTHBEARER: nothing else gets a token"
    url = str(properties.get("sasl.oauthbearer.token.endpoint.url", ""))
    if url.lower().startswith("http://") and not allow_plaintext:
        yield (
            f"{PREFIX}EXTRA: with http:// in sasl.oauthbearer.token.endpoint.url the client's secret goes over the "
            f"network unencrypted: use https://, or allow it with {PREFIX}ALLOW_PLAINTEXT=true"
        )


def _name(name: str, extra: Mapping[str, Any]) -> str:
    return f"{PREFIX}EXTRA: {name}" if name in extra else PREFIX + SETTINGS.get(name, name)

"""Credentials go over encrypted connections only, and a setting that would have no effect is an error."""

import json
from pathlib import Path

import pytest

from processor.configuration.kafka_security import weaknesses
from processor.configuration.loading import SettingsError, load

PEM = "-----BEGIN CERTIFICATE-----\n"
USER = {"SASL_USERNAME": "me", "SASL_PASSWORD": "hush-4711"}
SCRAM = {**USER, "SASL_MECHANISM": "SCRAM-SHA-512"}
OIDC = {"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.secret": "hush-4711"}
TOKEN = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}
ISSUER_URL = "sasl.oauthbearer.token.endpoint.url"


def load_with(settings: dict[str, str]) -> dict[str, str]:
    """Return the properties that these settings of Kafka give."""
    loaded = load(environment={f"PROCESSOR_KAFKA__{name}": value for name, value in settings.items()})
    return loaded.settings.kafka.properties()


def extra(**properties: object) -> dict[str, str]:
    """Return the setting EXTRA; an underscore stands for a dot."""
    return {"EXTRA": json.dumps({name.replace("_", "."): value for name, value in properties.items()})}


WRONG: list[tuple[dict[str, str], str]] = [
    (
        SCRAM,
        "PROCESSOR_KAFKA__SASL_PASSWORD has no effect with PROCESSOR_KAFKA__SECURITY_PROTOCOL=PLAINTEXT: set SASL_SSL",
    ),
    ({**SCRAM, "SECURITY_PROTOCOL": "SSL"}, "SASL_USERNAME has no effect with PROCESSOR_KAFKA__SECURITY_PROTOCOL=SSL"),
    ({"SASL_MECHANISM": "PLAIN"}, "PROCESSOR_KAFKA__SASL_MECHANISM has no effect"),
    ({**SCRAM, "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "PROCESSOR_KAFKA__ALLOW_PLAINTEXT=true"),
    ({**SCRAM, **extra(security_protocol="sasl_plaintext")}, "PROCESSOR_KAFKA__ALLOW_PLAINTEXT=true"),
    ({"EXTRA": json.dumps({"sasl.password": "hush-4711"})}, "PROCESSOR_KAFKA__EXTRA: sasl.password has no effect"),
    (extra(ssl_cipher_suites="x"), "PROCESSOR_KAFKA__EXTRA: ssl.cipher.suites has no effect"),
    ({"CA_FILE": "PEM"}, "PROCESSOR_KAFKA__CA_FILE has no effect with PROCESSOR_KAFKA__SECURITY_PROTOCOL=PLAINTEXT"),
    ({"CERT_FILE": "PEM", "KEY_FILE": "PEM"}, "PROCESSOR_KAFKA__CERT_FILE has no effect"),
    (
        {"SECURITY_PROTOCOL": "SSL", "CERT_FILE": "PEM"},
        "PROCESSOR_KAFKA__CERT_FILE needs PROCESSOR_KAFKA__KEY_FILE, too",
    ),
    (
        {"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "PEM"},
        "PROCESSOR_KAFKA__KEY_FILE needs PROCESSOR_KAFKA__CERT_FILE, too",
    ),
    ({"SECURITY_PROTOCOL": "SSL", "KEY_PASSWORD": "hush-4711"}, "KEY_PASSWORD needs PROCESSOR_KAFKA__KEY_FILE, too"),
    (
        {"SECURITY_PROTOCOL": "SSL", "CA_FILE": "/nowhere"},
        "PROCESSOR_KAFKA__CA_FILE: cannot read /nowhere: No such file",
    ),
    ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "DIRECTORY"}, "Is a directory"),
    ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "TEXT"}, "is no PEM file"),
    ({"SECURITY_PROTOCOL": "SSL", **extra(ssl_key_location="/nowhere")}, "ssl.key.location: cannot read /nowhere"),
    (
        {**USER, "SECURITY_PROTOCOL": "SASL_SSL"},
        "SASL_MECHANISM: it has to be set: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
    ),
    ({**USER, "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM"}, "SCRAM is not known: PLAIN, SCRAM-SHA-256"),
    ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "me"}, "SASL_PASSWORD (or"),
    ({**USER, "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}, "no effect with OAUTHBEARER"),
    ({**SCRAM, "SECURITY_PROTOCOL": "SASL_SSL", "EXTRA": json.dumps(OIDC)}, "SASL_MECHANISM=OAUTHBEARER"),
    (extra(security_protocol="hush-4711"), "PROCESSOR_KAFKA__EXTRA: security.protocol: there is no such protocol"),
    (extra(bootstrap_servers="a:1"), "bootstrap.servers has no effect there: set PROCESSOR_KAFKA__BOOTSTRAP_SERVERS"),
    ({"EXTRA": '{"error_cb": "hush-4711"}'}, "error_cb is no property of librdkafka"),
    ({"EXTRA": '{"linger.ms": ["hush-4711"]}'}, "the value of linger.ms is neither text, number nor true or false"),
    ({**TOKEN, "EXTRA": json.dumps({**OIDC, ISSUER_URL: "http://issuer/token"})}, "ALLOW_PLAINTEXT=true"),
    ({**TOKEN, "EXTRA": json.dumps({**OIDC, "https.ca.location": "/nowhere"})}, "cannot read /nowhere"),
    (
        {"SECURITY_PROTOCOL": "SSL", **extra(security_protocol="plaintext")},
        "PROCESSOR_KAFKA__SECURITY_PROTOCOL has no effect: security.protocol in PROCESSOR_KAFKA__EXTRA wins over it",
    ),
    (TOKEN, "PROCESSOR_KAFKA__EXTRA: sasl.oauthbearer.method has to be oidc"),
    ({"EXTRA": '["hush-4711"]'}, "PROCESSOR_KAFKA__EXTRA: input should be a valid dictionary"),
]


@pytest.mark.parametrize(("settings", "sentence"), WRONG)
def test_what_is_weaker_than_it_looks_is_refused(settings: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_with(_with_files(settings, tmp_path))
    assert sentence in str(refused.value)
    assert "hush-4711" not in str(refused.value)


RIGHT: list[dict[str, str]] = [
    {},
    {**SCRAM, "SECURITY_PROTOCOL": "SASL_SSL", "CA_FILE": "PEM"},
    {**SCRAM, "SECURITY_PROTOCOL": "SASL_SSL"},
    {**SCRAM, "SECURITY_PROTOCOL": "SASL_PLAINTEXT", "ALLOW_PLAINTEXT": "true"},
    {"SECURITY_PROTOCOL": "SSL", "CERT_FILE": "PEM", "KEY_FILE": "PEM", "KEY_PASSWORD": "hush-4711"},
    {**TOKEN, "EXTRA": json.dumps({**OIDC, ISSUER_URL: "https://issuer/token"})},
    {**TOKEN, "ALLOW_PLAINTEXT": "true", "EXTRA": json.dumps({**OIDC, ISSUER_URL: "http://issuer/token"})},
    {**TOKEN, **extra(enable_sasl_oauthbearer_unsecure_jwt=True)},
    extra(client_id="me"),
]


@pytest.mark.parametrize("settings", RIGHT)
def test_what_fits_is_taken(settings: dict[str, str], tmp_path: Path) -> None:
    load_with(_with_files(settings, tmp_path))


def test_a_client_certificate_becomes_properties(tmp_path: Path) -> None:
    settings = _with_files({"SECURITY_PROTOCOL": "SSL", "CERT_FILE": "PEM", "KEY_FILE": "PEM"}, tmp_path)
    secret = tmp_path / "password"
    secret.write_text("hush-4711\n")
    properties = load_with({**settings, "KEY_PASSWORD_FILE": str(secret)})
    assert properties["ssl.certificate.location"] == properties["ssl.key.location"] == settings["CERT_FILE"]
    assert properties["ssl.key.password"] == "hush-4711"


@pytest.mark.parametrize(
    "changes",
    [{"enable.ssl.certificate.verification": False}, {"ssl.endpoint.identification.algorithm": "none"}],
)
def test_a_certificate_that_is_not_checked_is_told(changes: dict[str, object]) -> None:
    (told,) = weaknesses(load_with({"SECURITY_PROTOCOL": "SSL", "EXTRA": json.dumps(changes)}))
    assert next(iter(changes)) in told
    assert not list(weaknesses(load_with({"SECURITY_PROTOCOL": "SSL"})))


@pytest.mark.parametrize("name", ["SERVER", "KAFKA__BOOTSTRAP_SERVERS", "ETCD__ENDPOINTS", "HTTP__ADDRESS"])
@pytest.mark.parametrize("address", ["me:hush-4711@host:1", "http://me:hush-4711@host:1", "http://me:hush@4711@host"])
def test_an_address_with_a_password_is_not_repeated(name: str, address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environment={f"PROCESSOR_{name}": address})
    assert f"PROCESSOR_{name}: user and password" in str(refused.value)
    assert "hush" not in str(refused.value)


def _with_files(settings: dict[str, str], directory: Path) -> dict[str, str]:
    (directory / "pem").write_text(PEM)
    (directory / "text").write_text("plain")
    files = {"PEM": directory / "pem", "TEXT": directory / "text", "DIRECTORY": directory}
    return {name: str(files.get(value, value)) for name, value in settings.items()}

"""A client that shows Kafka a token of an issuer (OIDC): let in, or told what is wrong with issuer, client or token."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from processor.assembly.connections import kafka_connection
from processor.configuration.loading import load
from tests.integration.servers import free_port
from tests.security.lab import CLIENTS, PASSWORD, Lab
from tests.security.test_refused_connections import recognise, refusal

EXTRA = "PROCESSOR_KAFKA__EXTRA"
URL = "sasl.oauthbearer.token.endpoint.url"
GUESS = "guess-0815"
# Case → client, what is different from what is right, what the sentence has to say.
CASES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "wrong secret": (
        "fleet",
        {"sasl.oauthbearer.client.secret": GUESS},
        ("no OAUTHBEARER token was had from https://", "invalid_client", "sasl.oauthbearer.client.id, .client.secret"),
    ),
    "issuer down": ("fleet", {URL: "DOWN"}, ("Could not connect", f"see {URL} in {EXTRA}", "whether the issuer runs")),
    "issuer without TLS": ("fleet", {URL: "PLAIN"}, (f"see {URL} in {EXTRA}",)),
    "issuer of another authority": ("fleet", {"https.ca.location": "STRANGER"}, (f"see https.ca.location in {EXTRA}",)),
    "wrong audience": ("stray", {}, ("refuses the token of client stray", "audience", "invalid_token")),
}


@pytest.fixture(scope="module")
def refusals(lab: Lab) -> dict[str, str]:
    """Case → what is said; all cases at once, because each takes its whole timeout."""

    def said(case: str) -> str:
        client, changes, _ = CASES[case]
        values = {
            "DOWN": f"https://127.0.0.1:{free_port()}/token",
            "PLAIN": f"https://{lab.address('ADMIN')}/token",
            "STRANGER": str(lab.stranger.ca_file),
        }
        changed = {name: values.get(value, value) for name, value in changes.items()}
        return refusal(recognise, kafka_connection(load(environment=_with(lab.oauth(client), changed)).settings))

    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(said, CASES), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_with_a_token_is_named(case: str, refusals: dict[str, str]) -> None:
    for part in CASES[case][2]:
        assert part in refusals[case]
    for secret in (GUESS, *(client.secret for client in CLIENTS.values())):
        assert secret not in refusals[case]


def test_a_client_with_the_right_secret_is_let_in(lab: Lab) -> None:
    recognise(kafka_connection(load(environment=lab.oauth("fleet")).settings))


def test_a_listener_without_tokens_says_what_it_takes(lab: Lab) -> None:
    environment = {**lab.oauth("fleet"), "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": lab.address("SASL")}
    said = refusal(recognise, kafka_connection(load(environment=environment).settings))
    assert "does not take SASL mechanism OAUTHBEARER but PLAIN,SCRAM-SHA-512" in said
    assert PASSWORD not in said


def _with(environment: dict[str, str], properties: dict[str, str]) -> dict[str, str]:
    return environment | {EXTRA: json.dumps(json.loads(environment[EXTRA]) | properties)}

"""Whatever Kafka refuses a connection for, the error says it, and which setting to look at."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from processor.assembly.connections import kafka_connection
from processor.configuration.loading import load
from processor.engine.errors import InvalidRequest, ProcessorError, SinkUnavailable, SourceUnavailable
from processor.kafka.connection import KafkaConnection, Property
from processor.kafka.offsets import OffsetReader
from processor.kafka.produce import NewRecord, RecordProducer
from processor.kafka.recognition import recognised
from tests.integration.servers import free_port
from tests.security.lab import PASSWORD, Lab

TIMEOUT_S = 2.0
# Case → listener, what is different from what is right there, what the sentence has to say.
CASES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "wrong password": (
        "SASL",
        {"sasl.password": "guess-0815"},
        ("refuses the password of user", "KAFKA__SASL_PASSWORD"),
    ),
    "unknown user": ("SASL", {"sasl.username": "nobody"}, ("refuses the password of user nobody", "SASL_USERNAME")),
    "other mechanism": (
        "SASL",
        {"sasl.mechanism": "SCRAM-SHA-256"},
        ("does not take SASL mechanism SCRAM-SHA-256 but PLAIN,SCRAM-SHA-512", "KAFKA__SASL_MECHANISM"),
    ),
    "wrong authority": ("TLS", {"ssl.ca.location": "STRANGER"}, ("not signed by an authority in", "KAFKA__CA_FILE")),
    "no authority": ("TLS", {"ssl.ca.location": ""}, ("not signed by an authority in", "set PROCESSOR_KAFKA__CA_FILE")),
    "wrong host": ("ELSEWHERE", {}, ("is not for this host name", "KAFKA__BOOTSTRAP_SERVERS")),
    "no client certificate": ("MTLS", {}, ("wants a client certificate", "KAFKA__CERT_FILE", "KAFKA__KEY_FILE")),
    "foreign client certificate": (
        "MTLS",
        {"ssl.certificate.location": "FOREIGN", "ssl.key.location": "FOREIGN"},
        ("does not accept the client certificate", "KAFKA__CERT_FILE"),
    ),
    "plain text to TLS": (
        "TLS",
        {"security.protocol": "PLAINTEXT", "ssl.ca.location": ""},
        ("listener of another protocol", "KAFKA__SECURITY_PROTOCOL (it is PLAINTEXT)"),
    ),
    "TLS to plain text": ("ADMIN", {"security.protocol": "SSL"}, ("does not speak TLS", "KAFKA__SECURITY_PROTOCOL")),
    "SASL to TLS": ("TLS", {"security.protocol": "SASL_SSL"}, ("does not want SASL", "KAFKA__SECURITY_PROTOCOL")),
    "TLS to SASL": (
        "SASL",
        {"security.protocol": "SSL"},
        ("listener of another protocol", "SECURITY_PROTOCOL (it is SSL)"),
    ),
    "nobody listens": ("NOBODY", {}, ("Connection refused", "KAFKA__BOOTSTRAP_SERVERS")),
    "no such host": ("NOWHERE", {}, ("Failed to resolve 'nowhere.invalid:9092'", "KAFKA__BOOTSTRAP_SERVERS")),
}


@pytest.fixture(scope="module")
def refusals(lab: Lab) -> dict[str, str]:
    """Case → what is said; all cases at once, because each takes its whole timeout."""
    lab.add_user("refused")
    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(lambda case: refusal(recognise, _connection(lab, case)), CASES), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_a_refused_connection_says_why_and_which_setting(case: str, refusals: dict[str, str]) -> None:
    for part in CASES[case][2]:
        assert part in refusals[case]
    assert PASSWORD not in refusals[case]
    assert "guess-0815" not in refusals[case]


def test_every_kind_of_client_says_why(lab: Lab) -> None:
    lab.add_user("refused")
    connection = _connection(lab, "wrong password")
    for ask in (recognise, consume, produce):
        assert "refuses the password of user refused" in refusal(ask, connection), ask


def test_a_cause_is_forgotten_once_brokers_answer(lab: Lab) -> None:
    lab.add_user("mended", "before")
    connection = _connection(lab, "wrong password", user="mended")
    refusal(recognise, connection)
    lab.add_user("mended", "guess-0815")
    recognise(connection)


@pytest.mark.parametrize(
    ("listener", "changes"),
    [
        ("TLS", {}),
        ("MTLS", {}),
        ("SASL", {}),
        ("SASL", {"SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "plain"}),
        ("CLEAR", {}),
    ],
)
def test_settings_that_are_right_are_let_in(lab: Lab, listener: str, changes: dict[str, str]) -> None:
    lab.add_user("welcome")
    recognise(kafka_connection(load(environment=lab.settings(listener, "welcome", **changes)).settings))


def test_an_encrypted_key_is_opened_with_its_password(lab: Lab) -> None:
    key = {"KEY_FILE": str(lab.client.encrypted_key("hush-4711"))}
    for password, refused in (("hush-4711", False), ("guess-0815", True)):
        environment = lab.settings("MTLS", **key, KEY_PASSWORD=password)
        connection = kafka_connection(load(environment=environment).settings)
        if not refused:
            recognise(connection)
            continue
        said = refusal(recognise, connection)
        assert "see PROCESSOR_KAFKA__KEY_FILE and PROCESSOR_KAFKA__KEY_PASSWORD" in said
        assert password not in said


def test_values_of_properties_are_not_repeated(lab: Lab) -> None:
    for properties in ({"ssl.key.pem": "hush-4711", "security.protocol": "ssl"}, {"security.protocol": "hush-4711"}):
        said = refusal(recognise, KafkaConnection(lab.address("TLS"), properties))
        assert "hush-4711" not in said
        assert next(iter(properties)) in said


def recognise(connection: KafkaConnection) -> None:
    """Ask as an administrator."""
    recognised(connection, timeout_s=TIMEOUT_S)


def consume(connection: KafkaConnection) -> None:
    """Ask as a consumer."""
    with OffsetReader(connection, "refused", timeout_s=TIMEOUT_S) as reader:
        reader.committed([("no-such-topic", 0)])


def produce(connection: KafkaConnection) -> None:
    """Ask as a producer."""
    producer = RecordProducer(connection)
    producer.send_record(NewRecord("no-such-topic", 0, b"", b""))
    try:
        producer.flush(TIMEOUT_S)
    finally:
        producer.close()


def refusal(ask: Callable[[KafkaConnection], None], connection: KafkaConnection) -> str:
    """Return what is said to a connection that must not work."""
    with pytest.raises(ProcessorError) as refused:
        ask(connection)
    assert isinstance(refused.value, SourceUnavailable | SinkUnavailable | InvalidRequest)
    return str(refused.value)


def _connection(lab: Lab, case: str, user: str = "refused") -> KafkaConnection:
    listener, changes, _ = CASES[case]
    if listener not in lab.ports:
        return KafkaConnection("nowhere.invalid:9092" if listener == "NOWHERE" else f"127.0.0.1:{free_port()}")
    files = {
        "STRANGER": {"ssl.ca.location": lab.stranger.ca_file},
        "FOREIGN": {
            "ssl.certificate.location": lab.foreign_client.cert_file,
            "ssl.key.location": lab.foreign_client.key_file,
        },
    }
    chosen = {name: str(files[value][name]) if value in files else value for name, value in changes.items()}
    properties = {**_properties(lab, listener, user), **chosen}
    return KafkaConnection(lab.address(listener), {name: value for name, value in properties.items() if value})


def _properties(lab: Lab, listener: str, user: str) -> dict[str, Property]:
    named = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": PASSWORD}
    protocol = "SASL_SSL" if listener == "SASL" else "SSL"
    return {"security.protocol": protocol, "ssl.ca.location": str(lab.authority.ca_file), **named}

"""Addresses as people write them in settings: accepted as meant, or refused with the form that is wanted."""

import pytest

from processor.configuration.loading import SettingsError, load
from processor.runtime import addresses


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:2379", "127.0.0.1:2379"),
        ("etcd-0.etcd:2379", "etcd-0.etcd:2379"),
        ("[::1]:2379", "[::1]:2379"),
        ("[fe80::1%eth0]:2379", "[fe80::1%eth0]:2379"),
        ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
        ("http://[::1]:2379/", "http://[::1]:2379"),
        ("HTTPS://etcd:2379", "https://etcd:2379"),
    ],
)
def test_an_endpoint_is_taken_as_it_was_meant(text: str, meant: str) -> None:
    assert addresses.endpoint(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8080", "127.0.0.1:8080"),
        (":8080", "127.0.0.1:8080"),
        ("localhost:8080", "localhost:8080"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::]:8080", "[::]:8080"),
    ],
)
def test_where_to_listen_may_leave_out_the_host(text: str, meant: str) -> None:
    assert addresses.listen_address(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://processor.example", "http://processor.example"),
        ("https://processor.example/base", "https://processor.example/base"),
    ],
)
def test_a_server_without_a_scheme_is_asked_over_http(text: str, meant: str) -> None:
    assert addresses.server_url(text) == meant


def test_https_endpoints_ask_for_tls_all_of_them_or_none() -> None:
    etcd = load(environment={"PROCESSOR_ETCD__ENDPOINTS": "https://one:2379,https://two:2379"}).settings.etcd
    assert (etcd.tls, etcd.members) == (True, ("one:2379", "two:2379"))
    etcd = load(environment={"PROCESSOR_ETCD__ENDPOINTS": "http://one:2379,http://[::1]:2379"}).settings.etcd
    assert (etcd.tls, etcd.members) == (False, ("one:2379", "[::1]:2379"))
    assert "write all of them alike" in problems_of(PROCESSOR_ETCD__ENDPOINTS="https://one:2379,two:2379")[0]


def test_lists_may_have_blanks_and_end_in_a_comma() -> None:
    settings = load(
        environment={
            "PROCESSOR_ETCD__ENDPOINTS": " one:2379 , [::1]:2379,,",
            "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": " one:9092 , [::1]:9092,, ",
        }
    ).settings
    assert settings.etcd.endpoints == ("one:2379", "[::1]:2379")
    assert settings.kafka.bootstrap_servers == "one:9092,[::1]:9092"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("etcd", "'etcd' has no port; wanted: host:port"),
        ("[::1]", "'[::1]' has no port"),
        ("http://etcd", "'etcd' has no port"),
        ("etcd:0", "has no port between 1 and 65535"),
        ("etcd:65536", "has no port between 1 and 65535"),
        ("etcd:http", "has no port between 1 and 65535"),
        ("etcd:²", "has no port between 1 and 65535"),
        ("::1:2379", "'::1:2379' is ambiguous; wanted: an IPv6 address in brackets"),
        ("[etcd]:2379", "has no IPv6 address in its brackets"),
        (":2379", "':2379' names no host"),
        ("127.0.0.256:2379", "has no valid host ('127.0.0.256')"),
        ("et cd:2379", "has no valid host ('et cd')"),
        ("etcd:2379/v3", "has no port between"),
        ("ftp://etcd:2379", "has the scheme ftp; wanted: host:port or https://host:port"),
    ],
)
def test_an_endpoint_that_is_none_is_refused_with_the_form_wanted(text: str, sentence: str) -> None:
    problems = problems_of(PROCESSOR_ETCD__ENDPOINTS=text)
    assert problems[0].startswith("PROCESSOR_ETCD__ENDPOINTS: ")
    assert sentence in problems[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "SSL://one:9093",
            "has a scheme (SSL://); the protocol is PROCESSOR_KAFKA__SECURITY_PROTOCOL; wanted: one:9093",
        ),
        ("http://one:9092", "has a scheme (http://)"),
        ("one", "'one' has no port"),
        ("one:9092,two", "'two' has no port"),
        (" , ", "no broker is named"),
    ],
)
def test_brokers_are_checked_in_the_same_words(text: str, sentence: str) -> None:
    assert sentence in problems_of(PROCESSOR_KAFKA__BOOTSTRAP_SERVERS=text)[0]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("PROCESSOR_HTTP__ADDRESS", "localhost", "'localhost' has no port"),
        ("PROCESSOR_HTTP__ADDRESS", "http://localhost:80", "has a scheme; wanted: host:port"),
        ("PROCESSOR_HTTP__ADDRESS", "65536", "has no port between 0 and 65535"),
        ("PROCESSOR_HTTP__ADDRESS", "::1:80", "is ambiguous"),
        ("PROCESSOR_SERVER", "localhost", "'localhost' has no port"),
        ("PROCESSOR_SERVER", "ftp://localhost:80", "wanted: http://host:port, for example http://127.0.0.1:8080"),
        ("PROCESSOR_SERVER", "http://:80", "names no host"),
        ("PROCESSOR_SERVER", "http://one:eighty", "is no URL"),
        ("PROCESSOR_SERVER", "http://[::1", "is no URL"),
        ("PROCESSOR_SERVER", "http://a b:1", "has no valid host ('a b')"),
        ("PROCESSOR_SERVER", "http://a..b:1", "has no valid host"),
        ("PROCESSOR_SERVER", f"http://{'a' * 70}:1", "has no valid host"),
    ],
)
def test_addresses_of_the_http_api_are_checked_in_the_same_words(name: str, text: str, sentence: str) -> None:
    assert sentence in problems_of(**{name: text})[0]


def problems_of(**environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environment=environment)
    return caught.value.problems

"""What the settings of etcd refuse: credentials in clear, what has no effect, and files that gRPC could not use."""

from pathlib import Path

import pytest

from processor.configuration.loading import SettingsError, load
from processor.configuration.types import current_value
from tests.security.certificates import Authority, Certificate

P = "PROCESSOR_ETCD__"
USER = {f"{P}USERNAME": "me", f"{P}PASSWORD": "hush"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Authority(tmp_path_factory.mktemp("certificates"), "ca").issue("client")


def problems_of(environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environment=environment)
    return caught.value.problems


def test_credentials_over_a_plain_connection_are_refused_unless_that_is_allowed(certificate: Certificate) -> None:
    (problem,) = problems_of(USER)
    assert "PROCESSOR_ETCD__USERNAME and PROCESSOR_ETCD__PASSWORD would go over the network unencrypted" in problem
    assert "PROCESSOR_ETCD__ALLOW_PLAINTEXT=true" in problem
    load(environment={**USER, f"{P}ALLOW_PLAINTEXT": "true"})
    load(environment={**USER, f"{P}CA_FILE": str(certificate.ca_file)})
    load(environment={**USER, f"{P}ENDPOINTS": "https://etcd:2379"})


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({f"{P}USERNAME": "me"}, f"{P}USERNAME needs {P}PASSWORD, too"),
        ({f"{P}PASSWORD": "hush"}, f"{P}PASSWORD needs {P}USERNAME, too"),
        ({f"{P}USERNAME": "me", f"{P}PASSWORD": ""}, f"{P}USERNAME needs {P}PASSWORD, too"),
        ({f"{P}CERT_FILE": "CERT"}, f"{P}CERT_FILE needs {P}KEY_FILE, too"),
        ({f"{P}KEY_FILE": "KEY"}, f"{P}KEY_FILE needs {P}CERT_FILE, too"),
        ({f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "KEY"}, f"{P}CERT_FILE has no effect without TLS"),
        ({f"{P}CA_FILE": "CA", f"{P}ENDPOINTS": "http://etcd:2379"}, f"{P}CA_FILE has no effect with http://"),
        ({f"{P}CA_FILE": "/nowhere"}, f"{P}CA_FILE: cannot read /nowhere: No such file or directory"),
        ({f"{P}CA_FILE": "/"}, f"{P}CA_FILE: cannot read /: Is a directory"),
        ({f"{P}CA_FILE": "TEXT"}, "no PEM file of certificates"),
        ({f"{P}CA_FILE": "EMPTY"}, "holds no certificate that can be read"),
        (
            {f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "/nowhere", f"{P}KEY_FILE": "KEY"},
            f"{P}CERT_FILE: cannot read /nowhere",
        ),
        (
            {f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "/nowhere"},
            f"{P}KEY_FILE: cannot read /nowhere",
        ),
        ({f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "KEY", f"{P}KEY_FILE": "KEY"}, "no PEM file of certificates"),
        ({f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "CERT"}, "no PEM file of a private key"),
        (
            {f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "OTHER"},
            "is not the key of the certificate in",
        ),
        ({f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "ENCRYPTED"}, "is encrypted"),
        ({f"{P}CA_FILE": "CA", f"{P}CERT_FILE": "CERT", f"{P}KEY_FILE": "BROKEN"}, f"{P}CERT_FILE and {P}KEY_FILE: "),
    ],
)
def test_what_has_no_effect_or_cannot_be_used_is_refused_with_the_setting(
    environment: dict[str, str], sentence: str, certificate: Certificate, tmp_path: Path
) -> None:
    problems = problems_of({name: _file(value, certificate, tmp_path) for name, value in environment.items()})
    assert any(sentence in problem for problem in problems), problems


def test_certificates_that_fit_are_taken(certificate: Certificate) -> None:
    etcd = load(
        environment={
            f"{P}CA_FILE": str(certificate.ca_file),
            f"{P}CERT_FILE": str(certificate.cert_file),
            f"{P}KEY_FILE": str(certificate.key_file),
        }
    ).settings.etcd
    assert etcd.client_certificate() == (certificate.cert_file.read_bytes(), certificate.key_file.read_bytes())


def test_a_password_from_a_file_is_what_the_file_holds_now(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    environment = {f"{P}USERNAME": "me", f"{P}PASSWORD_FILE": str(file), f"{P}ALLOW_PLAINTEXT": "true"}
    etcd = load(environment=environment).settings.etcd
    assert current_value(etcd.password) == "old"
    file.write_text("new\n")
    assert current_value(etcd.password) == "new"
    assert "new" not in repr(etcd)


CONTENTS = {
    "TEXT": b"\xff\xfe no certificate",
    "EMPTY": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "BROKEN": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}


def _file(value: str, certificate: Certificate, directory: Path) -> str:
    """Return the path that a word of the table stands for."""
    if value in CONTENTS:
        (directory / value).write_bytes(CONTENTS[value])
        return str(directory / value)
    if value == "ENCRYPTED":
        return str(certificate.encrypted_key("hush"))
    paths = {
        "CA": certificate.ca_file,
        "CERT": certificate.cert_file,
        "KEY": certificate.key_file,
        "OTHER": certificate.ca_file.with_name("ca.key"),
    }
    return str(paths.get(value, value))

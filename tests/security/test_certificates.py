import ssl

import pytest

from tests.security.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


def test_a_certificate_is_signed_by_its_authority_and_fits_its_key(authority: Authority) -> None:
    certificate = authority.issue("broker")
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    assert [ca["subject"] for ca in context.get_ca_certs()] == [((("commonName", "authority"),),)]


def test_an_encrypted_key_needs_its_password(authority: Authority) -> None:
    certificate = authority.issue("client")
    right, wrong = "hush", "loud"
    key = certificate.encrypted_key(right)
    context = ssl.create_default_context()
    context.load_cert_chain(certificate.cert_file, key, password=right)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(certificate.cert_file, key, password=wrong)

"""Certificates for tests, made with the `openssl` program: authorities, servers, clients, and those that do not fit."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("DNS:localhost", "IP:127.0.0.1")
OTHER_HOST = ("DNS:elsewhere.example",)
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key (PKCS #8), both PEM, and the file of the authority that signed it."""

    cert_file: Path
    key_file: Path
    ca_file: Path

    def pem(self) -> dict[str, bytes]:
        """Return certificate and key as etcd's client wants them."""
        return {"certificate": self.cert_file.read_bytes(), "private_key": self.key_file.read_bytes()}

    def server_file(self) -> Path:
        """Return one file with key, certificate and authority, as a Java server's PEM key store wants it."""
        parts = (self.key_file, self.cert_file, self.ca_file)
        joined = self.cert_file.with_suffix(".server.pem")
        joined.write_text("".join(part.read_text() for part in parts))
        return joined

    def encrypted_key(self, password: str) -> Path:
        """Return a file with the private key, encrypted with this password."""
        encrypted = self.key_file.with_suffix(".encrypted.pem")
        where = ("-in", str(self.key_file), "-out", str(encrypted))
        openssl("pkcs8", "-topk8", *where, "-v2", "aes-256-cbc", "-passout", f"pass:{password}")
        return encrypted


class Authority:
    """A certificate authority called `name`; all files are in `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self.ca_file = directory / f"{name}.crt"
        self._key_file = directory / f"{name}.key"
        _request(name, self._key_file, self.ca_file, ("-addext", "keyUsage=critical,keyCertSign,cRLSign"))

    def issue(self, name: str, hosts: Sequence[str] = LOOPBACK) -> Certificate:
        """Return a certificate whose subject is CN=`name`, for a server at `hosts` or for a client."""
        certificate = self._directory / f"{self._name}-{name}.crt"
        key = certificate.with_suffix(".key")
        signed = ("-CA", str(self.ca_file), "-CAkey", str(self._key_file))
        names = ("-addext", f"subjectAltName={','.join(hosts)}", "-addext", "basicConstraints=critical,CA:FALSE")
        _request(name, key, certificate, (*signed, *names))
        return Certificate(certificate, key, self.ca_file)


def _request(name: str, key: Path, certificate: Path, further: Sequence[str]) -> None:
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))
    openssl("req", "-x509", *made, "-out", str(certificate), "-subj", f"/CN={name}", "-days", "2", *further)


def openssl(*arguments: str) -> str:
    """Run the program and return what it printed."""
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
    return done.stdout

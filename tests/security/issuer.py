"""A small issuer of OAuth tokens for tests: a token endpoint for client credentials, and a file of its keys."""

import base64
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.security.certificates import TIMEOUT_S, Certificate, openssl

KEY_ID = "first"
LIFETIME_S = 300
EXPONENT = 65_537


class Client(NamedTuple):
    """Who may ask for tokens, and for whom those tokens are."""

    secret: str
    audience: str


class Issuer:
    """Serves `url`, with TLS on the loopback interface, until `close`; `clients` are by client id."""

    def __init__(self, directory: Path, certificate: Certificate, clients: Mapping[str, Client]) -> None:
        self._key = directory / "issuer.key"
        self._clients = clients
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(self._key))
        self.keys_file = directory / "issuer.jwks"
        self.keys_file.write_text(json.dumps(self._keys()))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def token(self, authorization: str) -> dict[str, Any] | None:
        """Return a token for who names itself like this (HTTP Basic), None for who may have none."""
        client_id, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        client = self._clients.get(client_id)
        if client is None or client.secret != secret:
            return None
        now = int(time.time())
        claims = {"iss": self.url, "sub": client_id, "aud": client.audience, "iat": now, "exp": now + LIFETIME_S}
        return {"access_token": self._signed(claims), "token_type": "Bearer", "expires_in": LIFETIME_S}

    def _keys(self) -> dict[str, Any]:
        modulus = openssl("rsa", "-in", str(self._key), "-noout", "-modulus").strip().partition("=")[2]
        exponent = EXPONENT.to_bytes(3, "big")
        numbers = {"n": _base64(bytes.fromhex(modulus)), "e": _base64(exponent)}
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, **numbers}]}

    def _signed(self, claims: Mapping[str, Any]) -> str:
        parts = ({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}, claims)
        text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        line = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        done = subprocess.run(line, input=text.encode(), capture_output=True, timeout=TIMEOUT_S, check=True)
        return f"{text}.{_base64(done.stdout)}"


def _handler_of(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            token = issuer.token(self.headers["Authorization"])
            if token is None:
                self._answer(401, {"error": "invalid_client", "error_description": "unknown client or wrong secret"})
            else:
                self._answer(200, token)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, document: Mapping[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

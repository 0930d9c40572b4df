"""The settings of etcd: endpoints, credentials and limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from processor.configuration.types import Endpoint, Group, Secret, Split
from processor.runtime import addresses, pem

PREFIX = "PROCESSOR_ETCD__"
OPERATIONS_CEILING = 10_000


class EtcdSettings(Group):
    """How etcd is reached and what one request may hold."""

    endpoints: Annotated[tuple[Endpoint, ...], Split, Field(min_length=1)] = ("127.0.0.1:2379",)
    """Members of the etcd cluster, comma-separated host:port; https://host:port asks for TLS."""
    prefix: Annotated[str, StringConstraints(pattern=r"^/.*[^/]$")] = "/processor"
    """Every key stands below this prefix."""
    ca_file: Path | None = None
    """PEM file with the authorities of the members' certificates; it (or https:// in the endpoints) enables TLS."""
    cert_file: Path | None = None
    """PEM file with the client's certificate, for members that require one; read again when a connection fails."""
    key_file: Path | None = None
    """PEM file with the client's private key, not encrypted."""
    username: Secret = None
    """User of etcd's own authentication."""
    password: Secret = None
    """Password of etcd's own authentication; a file is read again when etcd refuses the password."""
    allow_plaintext: bool = False
    """Whether user and password may be sent over an unencrypted connection."""
    txn_ops_max: Annotated[int, Field(ge=8, le=OPERATIONS_CEILING)] = 128
    """Operations in one transaction; not above the server's --max-txn-ops."""
    request_bytes_max: Annotated[int, Field(ge=65_536)] = 1_441_792
    """Bytes in one request; not above the server's --max-request-bytes."""
    materialise: Literal["auto", "eager"] = "auto"
    """auto: entities beyond txn_ops_max follow in later transactions; eager: a batch is cut before that."""
    conflict_retries_max: PositiveInt = 5
    """Conflicts in a row after which the shard is given up."""
    compact: bool = True
    """Whether the processor compacts etcd's history; off where an operator does it."""
    compact_interval_s: PositiveFloat = 10
    """Seconds between two compactions."""
    history_keep_s: NonNegativeFloat = 300
    """Seconds of history that a compaction leaves."""
    quota_pause_ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Commits pause when the database is larger than this part of its quota."""

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.ca_file is not None or self._scheme == addresses.TLS_SCHEME

    @property
    def members(self) -> tuple[str, ...]:
        """The endpoints as host:port."""
        return tuple(endpoint.rpartition("/")[2] for endpoint in self.endpoints)

    def client_certificate(self) -> tuple[bytes, bytes] | tuple[None, None]:
        """Return certificate and private key, read from the files. Raises ValueError if they are unusable."""
        if self.cert_file is None or self.key_file is None:
            return None, None
        return pem.check_pair(self.cert_file, self.key_file, names=(f"{PREFIX}CERT_FILE", f"{PREFIX}KEY_FILE"))

    @property
    def _scheme(self) -> str:
        return addresses.scheme_of(self.endpoints[0])

    @field_validator("endpoints")
    @classmethod
    def _of_one_kind(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(map(addresses.scheme_of, endpoints))) > 1:
            raise ValueError("some endpoints are https:// and some are not: write all of them alike")
        return endpoints

    @field_validator("ca_file")
    @classmethod
    def _is_authority(cls, path: Path | None) -> Path | None:
        if path is not None:
            pem.check_authorities(path)
        return path

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        """Reject credentials sent in clear, options without effect, and files on which gRPC aborts the process."""
        if found := "\n".join(self._problems()):
            raise ValueError(found)
        self.client_certificate()
        return self

    def _problems(self) -> Iterator[str]:
        if self.ca_file and self._scheme == addresses.PLAIN_SCHEME:
            yield f"{PREFIX}CA_FILE has no effect with http:// endpoints: write https://, or leave the scheme out"
        for one, other in (("cert_file", "key_file"), ("username", "password")):
            for given, missing in ((one, other), (other, one)):
                if getattr(self, given) and not getattr(self, missing):
                    yield f"{PREFIX}{given.upper()} needs {PREFIX}{missing.upper()}, too"
        if self.tls:
            return
        for name in ("cert_file", "key_file"):
            if getattr(self, name):
                yield (
                    f"{PREFIX}{name.upper()} has no effect without TLS: set {PREFIX}CA_FILE, or write "
                    f"https:// before the endpoints"
                )
        if self.username and not self.allow_plaintext:
            yield (
                f"{PREFIX}USERNAME and {PREFIX}PASSWORD would go over the network unencrypted: set {PREFIX}CA_FILE, "
                f"write https:// before the endpoints, or allow it with {PREFIX}ALLOW_PLAINTEXT=true"
            )

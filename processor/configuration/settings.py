"""Every option of the processor: name, default, unit (last in the name) and help.

`Settings()` holds the defaults and reads nothing from outside; `processor.configuration.loading` reads flags,
environment and file. An option `batch.events_max` is the variable `PROCESSOR_BATCH__EVENTS_MAX` and the TOML key
`events_max` of the table `[batch]`.
"""

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processor.configuration import kafka_security, shipped
from processor.configuration.etcd_settings import EtcdSettings
from processor.configuration.types import (
    Brokers,
    ClusterName,
    Group,
    ListenAddress,
    Ratio,
    Secret,
    ServerUrl,
    Split,
    current_value,
)
from processor.runtime.failpoints import parse
from processor.runtime.files import Unreadable

PROJECT_DIRECTORY = shipped.PROJECT_DIRECTORY
TIME_TO_LIVE_S_MAX = 600


class KafkaSettings(Group):
    """How Kafka is reached."""

    bootstrap_servers: Brokers = "127.0.0.1:9092"
    """Initial brokers, comma-separated host:port."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Protocol of the connections to the brokers."""
    sasl_mechanism: str | None = None
    """SASL mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or OAUTHBEARER (its properties go into `extra`)."""
    sasl_username: Secret = None
    """SASL user."""
    sasl_password: Secret = None
    """SASL password."""
    ca_file: Path | None = None
    """PEM file with the authorities that the brokers' certificates are checked against."""
    cert_file: Path | None = None
    """PEM file with the client's certificate, for brokers that require one (mTLS)."""
    key_file: Path | None = None
    """PEM file with the client's private key."""
    key_password: Secret = None
    """Password of the client's private key, where it is encrypted."""
    allow_plaintext: bool = False
    """Whether user and password may be sent over an unencrypted connection (SASL_PLAINTEXT)."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further librdkafka properties as a JSON object; they override all others."""

    def properties(self) -> dict[str, Any]:
        """Return the librdkafka properties of every client, secrets in clear."""
        named = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username and self.sasl_username.get_secret_value(),
            "sasl.password": self.sasl_password and self.sasl_password.get_secret_value(),
            "ssl.ca.location": self.ca_file and str(self.ca_file),
            "ssl.certificate.location": self.cert_file and str(self.cert_file),
            "ssl.key.location": self.key_file and str(self.key_file),
            "ssl.key.password": self.key_password and self.key_password.get_secret_value(),
        }
        return {name: value for name, value in named.items() if value} | self.extra

    def current_credentials(self) -> tuple[str, str] | None:
        """Return user and password, reread from their files if readable; None if there are none."""
        if "sasl.username" in self.extra or "sasl.password" in self.extra:
            return None
        known = self.properties()
        try:
            user, password = current_value(self.sasl_username), current_value(self.sasl_password)
        except Unreadable:
            user, password = known.get("sasl.username"), known.get("sasl.password")
        return (user, password) if user and password else None

    @field_validator("ca_file", "cert_file", "key_file")
    @classmethod
    def _is_pem(cls, path: Path | None) -> Path | None:
        if path is not None and (problem := kafka_security.unreadable(path)):
            raise ValueError(problem)
        return path

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        found = [
            *kafka_security.overruled(self.model_fields_set, self.extra),
            *kafka_security.problems(self.properties(), self.extra, allow_plaintext=self.allow_plaintext),
        ]
        if problems := "\n".join(found):
            raise ValueError(problems)
        return self


class SchemaRegistrySettings(Group):
    """The schema registry, if there is one."""

    url: str | None = None
    """Address of a Confluent-compatible registry; without one, Avro single-object framing is written."""
    username: Secret = None
    """User of the registry."""
    password: Secret = None
    """Password of the registry."""


class BatchSettings(Group):
    """How large a batch is."""

    events_max: PositiveInt = 500
    """Events in one batch."""
    normal_slice_ms: PositiveFloat = 5
    """Expected work, in ms, of the normal records in one batch: how long a high record may wait for them."""
    idle_commit_interval_ms: PositiveInt = 500
    """Positions of batches that changed nothing are committed at least this often, in ms."""
    ranges_max: PositiveInt = 64
    """Ranges of batches that changed nothing which may wait for the next commit."""


class LanesSettings(Group):
    """How the high and the normal lane share a batch."""

    normal_share: Ratio = 0.125
    """Part of a guarded batch that is reserved for normal records; 0 is strict priority."""
    high_batches_max: PositiveInt = 8
    """Batches without a normal record, while some waited, after which the guard steps in."""
    normal_wait_max_ms: PositiveInt = 1000
    """Age, in ms, of the oldest waiting normal record at which the guard steps in."""


class PublishSettings(Group):
    """How announcements are published."""

    mode: Literal["transactional", "idempotent"] = "transactional"
    """idempotent has the lowest latency; consumers then drop repeated announcement numbers."""
    pending_commits_max: PositiveInt = 1000
    """Commits that may wait to be published before the shard pauses."""
    pending_bytes_max: PositiveInt = 67_108_864
    """Bytes that may wait to be published before the shard pauses."""


class ShardsSettings(Group):
    """How shards are owned."""

    lease_ttl_s: Annotated[int, Field(ge=1, le=TIME_TO_LIVE_S_MAX)] = 5
    """Seconds after which a silent owner loses its shards."""
    stall_timeout_s: Annotated[float, Field(ge=1, le=86_400)] = 60
    """Seconds in which an owner can neither commit nor publish waiting commits, after which it leaves the shard to its
    peers; doubled each time, up to eight times as long, until it has published something."""


class DeadLettersSettings(Group):
    """When records that cannot be processed stop the shard instead of becoming dead letters."""

    max_ratio: Ratio = 0.5
    """Ratio of dead letters in the last 200 events above which the shard pauses."""
    max_consecutive: PositiveInt = 100
    """Dead letters in a row before the shard pauses."""
    crash_attempts_max: PositiveInt = 3
    """Crashes of the process that one record may cause before it becomes a dead letter, undecoded."""
    value_bytes_max: PositiveInt = 786_432
    """Bytes of an input record, headers included, above which it becomes a dead letter, undecoded and truncated."""


class ClockSettings(Group):
    """The ticks that wake the state machine."""

    enabled: bool = True
    """Whether the owner of a shard produces ClockTicked when something is due."""
    interval_ms: PositiveInt = 1000
    """Minimum time between two ticks, in ms."""


class SnapshotsSettings(Group):
    """Snapshot files from which a replay can start; the owner of a shard writes them."""

    directory: Path | None = None
    """Directory of the snapshots; without it none are written."""
    interval_s: PositiveFloat = 3600.0
    """Time between two snapshots of a shard, in s; the first is written soon after the shard was taken."""
    keep_count: PositiveInt = 24
    """Snapshots kept for each shard; older ones are deleted."""


class HttpSettings(Group):
    """The HTTP server for probes, metrics and the JSON API."""

    address: ListenAddress | None = None
    """host:port to listen on; without one there is no server. Without a host: 127.0.0.1; [::]:port is every address."""


class LogSettings(Group):
    """Logs, on stderr."""

    format: Literal["console", "json"] = "console"
    """console for people, json for machines (one object a line)."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum severity of the messages that are written."""


class Settings(BaseSettings):
    """All options. Frozen; constructing it reads neither environment nor files."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    app: ClusterName = "cluster"
    """Name of this deployment: part of keys, of the transactional ids and of `ce_source`."""
    instance: Annotated[str, StringConstraints(min_length=1, pattern=r"^[^/\s]+$")] = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}"
    )
    """Name of this process for people; host-pid by default. Its id among peers is the name, ~ and eight digits."""
    clusters: Annotated[tuple[ClusterName, ...], Split, Field(min_length=1)] = ("cluster",)
    """Cluster names, comma-separated, one a partition: shard i is the i-th of them."""
    start: Literal["earliest", "latest"] = "earliest"
    """Where the inputs are read from at the first start."""
    topics_file: Path = Path("topics.yaml")
    """The topics file; a relative path that does not exist is resolved among the files that ship with the program."""
    schemas_dir: Path = Path("schemas")
    """The Avro schemas; a relative path that does not exist is resolved among the files that ship with the program."""
    shutdown_timeout_s: Annotated[float, Field(ge=1, le=TIME_TO_LIVE_S_MAX)] = 10
    """Seconds within which a process ends once asked to; after that it logs what it waited for and exits with 1."""
    server: ServerUrl | None = None
    """Address of a processor's HTTP API, for commands that would otherwise read the store."""
    failpoints: str = ""
    """Faults to fire, for tests only: refused unless PROCESSOR_TESTING is 1. Example: after_commit=3*off->kill."""
    testing: bool = False
    """Whether this process is part of a test."""

    kafka: KafkaSettings = KafkaSettings()
    etcd: EtcdSettings = EtcdSettings()
    schema_registry: SchemaRegistrySettings = SchemaRegistrySettings()
    batch: BatchSettings = BatchSettings()
    lanes: LanesSettings = LanesSettings()
    publish: PublishSettings = PublishSettings()
    shards: ShardsSettings = ShardsSettings()
    dead_letters: DeadLettersSettings = DeadLettersSettings()
    clock: ClockSettings = ClockSettings()
    snapshots: SnapshotsSettings = SnapshotsSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use constructor arguments only: `configuration.loading` reads the other sources and records origins."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("topics_file", "schemas_dir")
    @classmethod
    def _or_as_shipped(cls, path: Path) -> Path:
        return shipped.resolve(path)

    @field_validator("clusters")
    @classmethod
    def _distinct(cls, clusters: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(clusters)) != len(clusters):
            raise ValueError("duplicate cluster name")
        return clusters

    @model_validator(mode="after")
    def _no_registry_yet(self) -> Self:
        # if the value were ignored, its owner would expect a framing that is not written
        if self.schema_registry.url is not None:
            raise ValueError("PROCESSOR_SCHEMA_REGISTRY__URL: this release does not use a registry yet")
        return self

    @model_validator(mode="after")
    def _failpoints_are_for_tests(self) -> Self:
        if self.failpoints and not self.testing:
            raise ValueError("PROCESSOR_FAILPOINTS is for tests only: it needs PROCESSOR_TESTING=1")
        parse(self.failpoints)
        return self

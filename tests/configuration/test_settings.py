import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from processor.configuration.etcd_settings import EtcdSettings
from processor.configuration.loading import MASK, SettingsError, load, show
from processor.configuration.options import options
from processor.configuration.settings import KafkaSettings, Settings
from processor.configuration.types import current_value


def test_the_defaults_read_nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_BATCH__EVENTS_MAX", "3")
    monkeypatch.setenv("BATCH__EVENTS_MAX", "3")
    assert Settings().batch.events_max == 500


def test_the_promised_defaults() -> None:
    settings = Settings()
    assert (settings.app, settings.clusters, settings.start) == ("cluster", ("cluster",), "earliest")
    assert settings.etcd.model_dump(include={"prefix", "txn_ops_max", "request_bytes_max", "materialise"}) == {
        "prefix": "/processor",
        "txn_ops_max": 128,
        "request_bytes_max": 1_441_792,
        "materialise": "auto",
    }
    assert (settings.lanes.normal_share, settings.lanes.high_batches_max) == (0.125, 8)
    assert (settings.publish.mode, settings.publish.pending_bytes_max) == ("transactional", 67_108_864)
    assert (settings.shards.lease_ttl_s, settings.clock.interval_ms) == (5, 1000)


def test_every_option_has_help_and_its_variable_is_its_path() -> None:
    listed = list(options())
    assert [option.name for option in listed if not option.help.endswith(".")] == []
    assert "PROCESSOR_ETCD__TXN_OPS_MAX" in {option.variable for option in listed}


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_text('app = "from-file"\n[batch]\nevents_max = 1\nranges_max = 1\nnormal_slice_ms = 1\n')
    loaded = load(
        flags={"batch.events_max": 3, "batch.normal_slice_ms": None},
        environment={"PROCESSOR_BATCH__EVENTS_MAX": "2", "PROCESSOR_BATCH__RANGES_MAX": "2"},
        file=file,
    )
    batch = loaded.settings.batch
    assert (batch.events_max, batch.ranges_max, batch.normal_slice_ms, loaded.settings.app) == (3, 2, 1, "from-file")
    assert [loaded.origins[f"batch.{name}"] for name in ("events_max", "ranges_max", "normal_slice_ms")] == [
        "flag",
        "environment",
        "file",
    ]
    assert loaded.origins["batch.idle_commit_interval_ms"] == "default"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_text('clusters = ["a", "b"]\n[kafka.extra]\n"socket.keepalive.enable" = true\n')
    settings = load(environment={"PROCESSOR_CONFIG_FILE": str(file)}).settings
    assert settings.clusters == ("a", "b")
    assert settings.kafka.properties()["socket.keepalive.enable"] is True


def test_lists_are_comma_separated_and_objects_are_json() -> None:
    settings = load(
        environment={
            "PROCESSOR_ETCD__ENDPOINTS": "one:2379, two:2379",
            "PROCESSOR_KAFKA__EXTRA": '{"client.id": "me"}',
        }
    ).settings
    assert settings.etcd.endpoints == ("one:2379", "two:2379")
    assert settings.kafka.extra == {"client.id": "me"}


def test_secrets_may_stand_in_files_and_are_masked_when_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush hush\n")
    loaded = load(
        environment={
            "PROCESSOR_ETCD__USERNAME": "me",
            "PROCESSOR_ETCD__PASSWORD_FILE": str(secret),
            "PROCESSOR_ETCD__ALLOW_PLAINTEXT": "true",
            "PROCESSOR_KAFKA__EXTRA": '{"security.protocol": "SSL", "ssl.keystore.password": "hush"}',
        }
    )
    password = loaded.settings.etcd.password
    assert password is not None
    assert password.get_secret_value() == "hush hush"
    shown = {row.name: row for row in show(loaded)}
    assert (shown["etcd.password"].value, shown["etcd.password"].origin) == (MASK, "environment")
    assert shown["kafka.extra"].value == {"security.protocol": "SSL", "ssl.keystore.password": MASK}
    assert "hush" not in repr(loaded.settings.etcd)


def test_kafka_properties_hold_secrets_in_clear_and_extra_wins() -> None:
    kafka = KafkaSettings.model_validate(
        {
            "sasl_mechanism": "PLAIN",
            "sasl_username": "me",
            "sasl_password": "hush",
            "extra": {"security.protocol": "SASL_SSL"},
        },
    )
    assert kafka.properties() == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": "hush",
    }


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PROCESSOR_BACH__EVENTS_MAX": "1"}, "the nearest one is PROCESSOR_BATCH__EVENTS_MAX"),
        ({"PROCESSOR_BATCH": "{}"}, "PROCESSOR_BATCH is no setting"),
        ({"PROCESSOR_BATCH__EVENTS_MAX": "0"}, "PROCESSOR_BATCH__EVENTS_MAX: input should be greater than 0"),
        ({"PROCESSOR_CLUSTERS": "a,a"}, "duplicate cluster name"),
        ({"PROCESSOR_CLUSTERS": ","}, "PROCESSOR_CLUSTERS: "),
        ({"PROCESSOR_KAFKA__EXTRA": "{"}, "this is no JSON object"),
        ({"PROCESSOR_SERVER": "ftp://localhost"}, "http://127.0.0.1:8080"),
        ({"PROCESSOR_FAILPOINTS": "after_commit=kill"}, "it needs PROCESSOR_TESTING=1"),
        ({"PROCESSOR_TESTING": "1", "PROCESSOR_FAILPOINTS": "after_comit=kill"}, "did you mean after_commit?"),
        ({"PROCESSOR_SCHEMA_REGISTRY__URL": "http://127.0.0.1:8081"}, "does not use a registry yet"),
        ({"PROCESSOR_ETCD__PASSWORD_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"PROCESSOR_ETCD__PASSWORD": "a", "PROCESSOR_ETCD__PASSWORD_FILE": "/nowhere"}, "both set"),
        ({"PROCESSOR_CONFIG_FILE": "/nowhere"}, "configuration file: cannot read /nowhere: No such file"),
    ],
)
def test_a_problem_is_a_sentence_that_names_the_option(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment=environment)
    assert any(sentence in problem for problem in caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)


def test_a_wrong_password_type_is_not_printed() -> None:
    with pytest.raises(SettingsError) as caught:
        load(flags={"etcd.password": 12345})
    assert "12345" not in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment={"PROCESSOR_BATCH__EVENTS_MAX": "0", "PROCESSOR_START": "middle"})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[batch]\nevents = 1\n", "batch.events is no setting of the processor; the nearest one is batch.events_max"),
        ("nonsense = 1\n", "nonsense is no setting"),
        ("app = \n", "is no TOML"),
    ],
)
def test_a_wrong_file_is_told_by_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "processor.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=sentence) as caught:
        load(file=file, environment={})
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_the_end_of_the_line_is_no_part_of_a_secret(tmp_path: Path, end: bytes) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(b"\xef\xbb\xbfgr\xc3\xbcn " + end)
    user = {"PROCESSOR_ETCD__USERNAME": "me", "PROCESSOR_ETCD__ALLOW_PLAINTEXT": "true"}
    from_file = {**user, "PROCESSOR_ETCD__PASSWORD_FILE": str(secret)}
    from_variable = {**user, "PROCESSOR_ETCD__PASSWORD": "grün " + end.decode()}
    for environment in (from_file, from_variable):
        assert current_value(load(environment=environment).settings.etcd.password) == "grün "


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("pä".encode("latin-1"), "no UTF-8 text: byte 0xE4 at line 1, byte 2 (offset 1)"),
        ("p".encode("utf-16"), "it is UTF-16"),
        (b"p\0", "no text: byte 0x00"),
        (b"\n", "is empty"),
    ],
)
def test_a_secret_that_is_no_text_is_told_by_variable_file_and_byte(tmp_path: Path, content: bytes, fault: str) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(environment={"PROCESSOR_ETCD__PASSWORD_FILE": str(secret)})
    (problem,) = caught.value.problems
    assert problem.startswith(f"PROCESSOR_ETCD__PASSWORD_FILE: {secret}")
    assert fault in problem


def test_a_variable_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PROCESSOR_APP: no UTF-8 text: byte 0xE9 at offset 3"):
        load(environment={"PROCESSOR_APP": os.fsdecode(b"caf\xe9")})
    directory = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    assert load(environment={"PROCESSOR_SNAPSHOTS__DIRECTORY": directory}).settings.snapshots.directory is not None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("# für\n".encode("latin-1"), "no UTF-8 text: byte 0xFC at line 1, byte 4 (offset 3)"),
        ("app = 'a'".encode("utf-16"), "it is UTF-16"),
        (b"a = " + b"[" * 5000, "is no TOML: maximum recursion"),
        (b"app = 1" + b"0" * 5000, "is no TOML: Exceeds the limit"),
    ],
)
def test_a_configuration_file_that_is_no_text_is_told_by_file_and_byte(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    file = tmp_path / "processor.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(file=file, environment={})
    (problem,) = caught.value.problems
    assert problem.startswith(f"configuration file: {file}")
    assert fault in problem


def test_a_mark_of_utf8_before_the_configuration_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_bytes(b'\xef\xbb\xbfapp = "mine"\r\n')
    assert load(file=file, environment={}).settings.app == "mine"


def test_an_empty_variable_is_as_good_as_none() -> None:
    variables = [name for option in options() for name in (option.variable, option.file_variable) if name]
    loaded = load(environment=dict.fromkeys(variables, ""))
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.etcd.ca_file is None
    assert loaded.settings.snapshots.directory is None


def test_variables_of_the_tests_are_no_settings() -> None:
    assert load(environment={"PROCESSOR_TEST_KAFKA": "127.0.0.1:1"}).settings == Settings(instance=Settings().instance)


def test_failpoints_are_taken_in_a_test() -> None:
    settings = load(environment={"PROCESSOR_TESTING": "1", "PROCESSOR_FAILPOINTS": "after_commit=kill"}).settings
    assert settings.failpoints == "after_commit=kill"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(EtcdSettings(), "txn_ops_max", 1)  # noqa: B010 - the type checker refuses the plain assignment, too


def test_a_path_that_cannot_be_looked_for_is_kept_for_whoever_reads_it() -> None:
    # as in a working directory that may not be searched, which root cannot have
    endless = Path("x" * 300)
    assert Settings(topics_file=endless).topics_file == endless


def test_the_topics_are_found_from_any_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(schemas_dir=Path("processor")).schemas_dir.is_absolute()
    assert Settings(schemas_dir=Path("no-such-place")).schemas_dir == Path("no-such-place")

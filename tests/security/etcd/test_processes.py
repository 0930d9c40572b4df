"""Whole processes on an etcd with certificates and users: they pause, say why, and go on by themselves."""

import json
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.integration.processes import ProcessorProcess, command
from tests.integration.stage import Stage
from tests.security.etcd_lab import Administrator, EtcdLab
from tests.services import Kafka
from tests.waiting import wait_until

pytestmark = pytest.mark.services

PASSWORD, ROTATED = "first password", "second password"


class SecuredStage(Stage):
    """Processes reach etcd over TLS as a user with a role limited to their prefix; the password is in a file."""

    def secure(self, lab: EtcdLab, root: Administrator) -> None:
        root.add_role(self.name, f"/{self.name}/{self.name}/")
        root.add_user(self.name, PASSWORD)
        root.grant(self.name, self.name)
        self.password_file.write_text(f"{PASSWORD}\n")
        self.secured = {
            "ETCD__CA_FILE": str(lab.client.ca_file),
            "ETCD__CERT_FILE": str(lab.client.cert_file),
            "ETCD__KEY_FILE": str(lab.client.key_file),
            "ETCD__USERNAME": self.name,
            "ETCD__PASSWORD_FILE": str(self.password_file),
            "ETCD__COMPACT_INTERVAL_S": "0.2",
            "ETCD__HISTORY_KEEP_S": "0",
        }

    @property
    def password_file(self) -> Path:
        return self.directory / "password"

    def environment(self, **settings: str) -> dict[str, str]:
        return super().environment(**(self.secured | settings))


@pytest.fixture
def stage(lab: EtcdLab, root: Administrator, kafka: Kafka, namespace: str, tmp_path: Path) -> Iterator[SecuredStage]:
    built = SecuredStage(namespace, kafka.bootstrap, lab.tls, tmp_path)
    built.secure(lab, root)
    built.build()
    yield built
    built.strike()


def submitted(stage: SecuredStage, name: str) -> None:
    """Submit an event and wait until it is committed and announced."""
    data = json.dumps({"server": name})
    done = command(stage.environment(), "submit", "ServerRemoved", "--data", data, "--wait")
    assert done.returncode in {0, 5}, done.stderr


def waits_for(process: ProcessorProcess, words: str) -> bool:
    code, body = process.get("/readyz")
    return code == HTTPStatus.SERVICE_UNAVAILABLE and words in body


def assert_lines_are_json(process: ProcessorProcess) -> None:
    for line in process.log.splitlines():
        assert isinstance(json.loads(line), dict), line


@pytest.mark.slow
def test_a_role_limited_to_the_prefix_is_enough_to_run_and_for_the_doctor(stage: SecuredStage) -> None:
    process = stage.start()
    process.wait_until_ready()
    submitted(stage, "one")
    wait_until(lambda: "etcd_call_denied: compact" in process.log, what="the denied compaction is told")
    submitted(stage, "two")
    metrics = process.get("/metrics")[1]
    assert 'processor_etcd_denied{call="compact"} 1.0' in metrics
    assert 'processor_etcd_denied{call="status"} 0.0' in metrics
    assert "processor_etcd_database_bytes" in metrics
    doctor = command(stage.environment(), "doctor", "-o", "json")
    verdicts = {check["check"]: check["verdict"] for check in json.loads(doctor.stdout)}
    assert verdicts.pop("etcd") in {"ok", "warning"}, "a busy machine answers slowly"
    assert (doctor.returncode, set(verdicts.values())) == (0, {"ok"}), doctor.stdout
    assert process.terminate() == 0
    assert process.log.count("etcd_call_denied") == 1
    assert_lines_are_json(process)


@pytest.mark.slow
def test_a_rotated_password_pauses_every_process_until_the_file_holds_it(
    stage: SecuredStage, root: Administrator
) -> None:
    processes = [stage.start(), stage.start()]
    for process in processes:
        process.wait_until_ready()
    root.change_password(stage.name, ROTATED)
    for process in processes:
        wait_until(partial(waits_for, process, "is wrong"), what="it pauses and says why")
    told = command(stage.environment(), "status")
    assert (told.returncode, "PROCESSOR_ETCD__PASSWORD" in told.stderr) == (3, True), told.stderr
    assert "--server URL" not in told.stderr
    late = stage.start()
    wait_until(lambda: waits_for(late, "is wrong"), what="one that starts now waits, too")
    stage.password_file.write_text(f"{ROTATED}\n")
    for process in (*processes, late):
        process.wait_until_ready()
    submitted(stage, "after")
    for process in (*processes, late):
        assert process.terminate() == 0
        assert_lines_are_json(process)
        assert PASSWORD not in process.log


@pytest.mark.slow
def test_a_revoked_role_pauses_until_it_is_granted_again(stage: SecuredStage, root: Administrator) -> None:
    process = stage.start()
    process.wait_until_ready()
    submitted(stage, "before")
    root.revoke(stage.name, stage.name)
    wait_until(lambda: waits_for(process, "needs readwrite on the prefix"), what="it pauses and says why")
    assert "no answer" not in process.get("/readyz")[1]
    doctor = command(stage.environment(), "doctor", "-o", "json")
    verdicts = {check["check"]: check["verdict"] for check in json.loads(doctor.stdout)}
    assert (doctor.returncode, verdicts["etcd"]) == (1, "failed"), doctor.stdout
    root.grant(stage.name, stage.name)
    process.wait_until_ready()
    submitted(stage, "after")
    assert process.terminate() == 0


def test_a_process_that_is_refused_from_the_start_says_why_and_ends_when_told(
    stage: SecuredStage, lab: EtcdLab
) -> None:
    process = stage.start(ETCD__ENDPOINTS=lab.elsewhere)
    wait_until(lambda: waits_for(process, "is not valid for 127.0.0.2"), what="it says why it is not ready")
    assert process.terminate() == 0
    assert_lines_are_json(process)

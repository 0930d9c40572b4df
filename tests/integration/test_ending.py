"""Whatever state a processor is in: asked to end it ends in time, and when the cause is repaired it goes on by itself.

A case is a state that a processor gets into, with the way into it and out of it. Each is played twice: by an owner at
work, and by a process that is started when things are so already, where it can own the shard at all.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.integration.conftest import Note
from tests.integration.filler import Filler
from tests.integration.outage import staged
from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess, command
from tests.local_servers import LocalServer
from tests.waiting import wait_for, wait_until

SHUTDOWN_TIMEOUT_S = 10.0
MARGIN_S = 3.0
"""For a busy machine to notice that a process has ended."""
NOTICED_WITHIN_S = 60.0
BACK_WITHIN_S = 90.0
QUOTA_BYTES = 64 << 20
EVENTS = 60
TRANSACTION_LIMIT = "transaction.max.timeout.ms"
SECURED = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
)


class Servers(msgspec.Struct, frozen=True):
    """The servers of this module, which its cases take away and give back."""

    kafka: LocalServer
    kafka_directory: Path
    etcd: LocalServer


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A state: how it begins and ends, and what the reason that readiness gives for it matches, empty: it is ready.

    `at_start` is that where a process that starts gives another one, `of_owner` where an owner at work does.
    `flows`: events can be sent meanwhile. `held` is called while it lasts.
    """

    begin: Callable[[Servers, Play], object]
    end: Callable[[Servers, Play], object]
    name: str = ""
    of_owner: str | None = None
    at_start: str | None = None
    flows: bool = True
    settings: dict[str, str] = {}
    held: Callable[[Play], object] = lambda _: None


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("ending-kafka")
    kafka = LocalServer("kafka", directory, SECURED)
    etcd = LocalServer("etcd", tmp_path_factory.mktemp("ending-etcd"), (f"--quota-backend-bytes={QUOTA_BYTES}",))
    kafka.start()
    etcd.start()
    yield Servers(kafka, directory, etcd)
    etcd.kill()
    kafka.kill()


def limit_transactions(servers: Servers, play: Play) -> None:
    del play
    servers.kafka.stop()
    LocalServer("kafka", servers.kafka_directory, (*SECURED, f"{TRANSACTION_LIMIT}=10000")).start()


def allow_transactions(servers: Servers, play: Play) -> None:
    del play
    servers.kafka.stop()
    servers.kafka.start()


def forbid(kind: ResourceType, name: Callable[[Play], str], operation: AclOperation, play: Play) -> None:
    """Forbid one operation; with a rule for a resource, what nobody is allowed is forbidden."""

    def rule(what: AclOperation, permission: AclPermissionType) -> AclBinding:
        return AclBinding(kind, name(play), ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", what, permission)

    admin = AdminClient({"bootstrap.servers": play.stage.bootstrap})
    rules = [rule(AclOperation.ALL, AclPermissionType.ALLOW), rule(operation, AclPermissionType.DENY)]
    for answer in admin.create_acls(rules).values():
        answer.result(BACK_WITHIN_S)


def allow_everything(servers: Servers, play: Play) -> None:
    del servers
    anything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    admin = AdminClient({"bootstrap.servers": play.stage.bootstrap})
    for answer in admin.delete_acls([anything]).values():
        answer.result(BACK_WITHIN_S)


@contextmanager
def filler(servers: Servers) -> Iterator[Filler]:
    with Filler(servers.etcd.address) as found:
        yield found


def fill(servers: Servers, play: Play) -> None:
    del play
    with filler(servers) as found:
        found.fill()


def make_room(servers: Servers, play: Play) -> None:
    del play
    with filler(servers) as found:
        found.make_room()


def away(service: str, action: str) -> Callable[[Servers, Play], object]:
    return lambda servers, _: getattr(getattr(servers, service), action)()


def see_it_named(play: Play) -> None:
    """Doctor and status look from outside; neither etcd nor the topics show anything."""
    for name in ("doctor", "status"):
        told = command(play.stage.environment(), name)
        assert told.returncode == 1, told.stdout + told.stderr
        assert TRANSACTION_LIMIT in told.stdout + told.stderr


def changes_of(play: Play) -> str:
    return play.stage.topics["changes"]


def group_of(play: Play) -> str:
    return f"{play.stage.name}-processor"


CASES = {
    "kafka frozen": Case(
        begin=away("kafka", "pause"),
        end=away("kafka", "resume"),
        name="Kafka",
        at_start="no answer|cannot be described",
        flows=False,
    ),
    "kafka killed": Case(
        begin=away("kafka", "kill"),
        end=away("kafka", "start"),
        name="Kafka",
        at_start="no answer|cannot be described",
        flows=False,
    ),
    "etcd frozen": Case(begin=away("etcd", "pause"), end=away("etcd", "resume"), name="etcd"),
    "etcd killed": Case(begin=away("etcd", "kill"), end=away("etcd", "start"), name="etcd"),
    "etcd full": Case(begin=fill, end=make_room, name="database space", settings={"ETCD__QUOTA_PAUSE_RATIO": "1"}),
    "output not writable": Case(
        begin=lambda _, play: forbid(ResourceType.TOPIC, changes_of, AclOperation.WRITE, play),
        end=allow_everything,
        name="TOPIC_AUTHORIZATION_FAILED",
        at_start="lacks|TOPIC_AUTHORIZATION_FAILED",
    ),
    "group not readable": Case(
        begin=lambda _, play: forbid(ResourceType.GROUP, group_of, AclOperation.ALL, play), end=allow_everything
    ),
    "transactions limited": Case(
        begin=limit_transactions,
        end=allow_transactions,
        name=TRANSACTION_LIMIT,
        of_owner="",
        flows=False,
        held=see_it_named,
    ),
}
SAMPLE = ("kafka frozen", "transactions limited", "group not readable")
"""What is played by default; the rest with the outages."""


def cases() -> Iterator[object]:
    for name, case in CASES.items():
        marks = [pytest.mark.slow] if name in SAMPLE else [pytest.mark.slow, pytest.mark.outages]
        yield pytest.param(case, id=name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("case", list(cases()))
def test_it_ends_in_time_and_goes_on_by_itself(
    servers: Servers, namespace: str, tmp_path: Path, note: Note, case: Case
) -> None:
    with staged(namespace, servers.kafka.address, servers.etcd.address, tmp_path) as play:
        owner = play.stage.start(**case.settings)
        lines = play.script(2 * EVENTS)
        play.send(lines[:EVENTS])
        case.begin(servers, play)
        try:
            if case.flows:
                play.submitter.send(lines[EVENTS:])
            _await(owner, case.name if case.of_owner is None else case.of_owner)
            of_owner = end(owner)
            starting = play.stage.start(**case.settings)
            _await(starting, case.name if case.at_start is None else case.at_start)
            case.held(play)
            of_starting = end(starting)
            healing = play.stage.start(**case.settings)
            _await(healing, case.name if case.at_start is None else case.at_start)
        finally:
            case.end(servers, play)
        ended_s = time.monotonic()
        healing.wait_until_ready(timeout_s=BACK_WITHIN_S)
        back_s = time.monotonic() - ended_s
        play.submitter.send(play.script(EVENTS, seed=2))
        play.wait_until_consumed()
        note(f"owner {of_owner}; starting {of_starting}; back after {back_s:.1f} s")
        assert end(healing).startswith("0 ")


@pytest.mark.slow
@pytest.mark.outages
def test_who_waits_for_a_person_ends_in_time(servers: Servers, namespace: str, tmp_path: Path, note: Note) -> None:
    with staged(namespace, servers.kafka.address, servers.etcd.address, tmp_path) as play:
        owner = play.stage.start()
        play.send(play.script(EVENTS))
        play.wait_until_quiet()
        end(owner)
        play.store.delete_all()
        refusing = play.stage.start()
        refusing.wait_for_log("shard_refused")
        note(f"refused {end(refusing)}")


def _await(process: ProcessorProcess, name: str) -> None:
    """Wait until a process says what is wrong, or, where nothing is, that it is ready."""

    def says() -> bool:
        assert process.exit_code is None, process.log[-3000:]
        code, text = process.get("/readyz")
        return (
            code == HTTPStatus.SERVICE_UNAVAILABLE and re.search(name, text) is not None
            if name
            else code == HTTPStatus.OK
        )

    wait_until(says, what=f"{process.name} says {name or 'ok'}", timeout_s=NOTICED_WITHIN_S)


def end(process: ProcessorProcess) -> str:
    """Ask a process to end, assert that it does in time, and return its exit code and how long it took."""
    process.ask_to_end()
    began_s = time.monotonic()
    code = wait_for(partial(_ended, process), bool, what="it ends", timeout_s=SHUTDOWN_TIMEOUT_S + MARGIN_S)[0]
    took_s = time.monotonic() - began_s
    assert code == (1 if process.logged("shutdown_timed_out") else 0), process.log[-3000:]
    assert "Traceback" not in process.log, process.log[-3000:]
    return f"{code} after {took_s:.1f} s"


def _ended(process: ProcessorProcess) -> tuple[int, ...]:
    return () if process.exit_code is None else (process.exit_code,)

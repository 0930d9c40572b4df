"""A processor runs with the rights that `processor acls` prints, and says which one it lacks when one is taken away."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from processor.admin.access import Access, access_of
from processor.assembly.connections import kafka_connection, shard_topics
from processor.configuration.loading import load
from processor.configuration.topics import load_topics
from processor.kafka.rights import Audience, Right, missing_rights, shard_rights
from tests.integration.play import Play, now_ms
from tests.integration.processes import ProcessorProcess, command
from tests.integration.stage import Stage
from tests.integration.submitter import Line
from tests.security.lab import PASSWORD, Lab
from tests.services import Etcd
from tests.waiting import wait_for

EVENTS = 40
TOLD_TIMEOUT_S = 40.0
HEALED_TIMEOUT_S = 60.0
END_TIMEOUT_S = 12.0
"""Ten seconds are promised (`shutdown_timeout_s`); a busy machine needs a moment to start and to be seen."""
SAMPLE = ("READ on topic {}.control-events", "WRITE on topic {}.changes", "WRITE on transactional id {}-*")
RIGHTS = (
    *(f"READ on topic {{}}.{topic}" for topic in ("server-events", "control-events")),
    "WRITE on topic {}.control-events",
    *(
        f"{operation} on topic {{}}.{topic}"
        for topic in ("changes", "commits", "dead-letters")
        for operation in ("READ", "WRITE", "DESCRIBE_CONFIGS")
    ),
    "READ on group {}-*",
    "WRITE on transactional id {}-*",
)


@dataclass
class Secured:
    """A stage on the secured broker, and the user that its processors are."""

    lab: Lab
    stage: Stage
    access: Access

    @property
    def settings(self) -> dict[str, str]:
        """The settings of its processors, without the prefix."""
        user = self.access.principal.removeprefix("User:")
        named = self.lab.settings("SASL", user)
        return {name.removeprefix("PROCESSOR_"): value for name, value in named.items()}

    def access_as(self, role: Audience) -> Access:
        """Return the least rights of a role on this stage."""
        return _access(self.stage, role)

    def start(self, **settings: str) -> ProcessorProcess:
        """Start a processor."""
        return self.stage.start(**self.settings, **settings)


@pytest.fixture
def secured(lab: Lab, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Secured]:
    """Give a stage whose user has the least rights of a processor."""
    stage = Stage(namespace, lab.address("ADMIN"), etcd.endpoint, tmp_path)
    stage.build()
    access = _access(stage, "processor")
    lab.add_user(namespace)
    lab.allow(access.principal, access.rights)
    yield Secured(lab, stage, access)
    stage.strike()


def _access(stage: Stage, role: Audience) -> Access:
    environment = {name: value for name, value in stage.environment().items() if name.startswith("PROCESSOR_")}
    settings = load(environment=environment).settings
    topics = {role: topic.name for role, topic in load_topics(stage.topics_file).by_role.items()}
    return access_of(settings, topics, role, f"User:{stage.name}")


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Write a measured fact into the report: printed with -s, never asserted."""

    def write(fact: str) -> None:
        record_property("measured", fact)
        print(f"\n{fact}")  # noqa: T201 - what was measured is for people

    return write


@pytest.fixture
def play(secured: Secured) -> Iterator[Play]:
    """A producer and a consumer with all rights, and the checker."""
    begun = Play(secured.stage)
    yield begun
    begun.close()


COMMANDS: dict[Audience, tuple[tuple[str, ...], ...]] = {
    "processor": (("doctor",), ("commits", "list")),
    "producer": (("submit", "ServerRemoved", "--data", '{"server": "gone"}', "--wait"),),
    "consumer": (("events", "tail", "--count", "1", "--from", "beginning"),),
}


def test_the_rights_of_each_role_are_enough_for_its_commands(secured: Secured, play: Play) -> None:
    secured.start()
    play.send(play.script(EVENTS))
    play.wait_until_consumed()
    for role, commands in COMMANDS.items():
        user = f"{secured.stage.name}-{role}"
        secured.lab.add_user(user)
        secured.lab.allow(f"User:{user}", secured.access_as(role).rights)
        environment = secured.stage.environment() | secured.lab.settings("SASL", user)
        for words in commands:
            done = command(environment, *words)
            assert done.returncode == 0, (role, words, done.stdout, done.stderr)


def test_each_right_that_is_missing_is_named(secured: Secured) -> None:
    environment = {f"PROCESSOR_{name}": value for name, value in secured.settings.items()}
    connection = kafka_connection(load(environment=environment).settings)
    name = secured.stage.name
    needed = [right for right in secured.access.rights if right.pattern == "LITERAL"]
    needed.append(Right("GROUP", f"{name}-0-tails", "READ"))
    assert missing_rights(connection, needed) == []
    for right in secured.access.rights:
        secured.lab.withdraw(secured.access.principal, [right])
        expected = [one for one in needed if one == right or right.resource == one.resource == "GROUP"]
        assert missing_rights(connection, needed) == expected
        secured.lab.allow(secured.access.principal, [right])


@pytest.mark.slow
@pytest.mark.parametrize(
    "named", [pytest.param(one, marks=[] if one in SAMPLE else pytest.mark.outages) for one in RIGHTS]
)
def test_a_right_that_is_taken_away_is_named_and_its_return_heals(
    named: str, secured: Secured, play: Play, note: Callable[[str], None]
) -> None:
    wanted = named.format(secured.stage.name)
    right = next(one for one in secured.access.rights if str(one) == wanted)
    lines = play.script(4 * EVENTS)
    process = secured.start()
    play.send(lines[:EVENTS])

    secured.lab.withdraw(secured.access.principal, [right])
    play.submitter.send(lines[EVENTS : 2 * EVENTS])
    began_s = time.monotonic()
    told = _wait_until_told(process, secured, right) if _is_noticed_while_running(right) else "(at the next start)"
    note(f"{wanted}: running: {time.monotonic() - began_s:.1f} s: {told}")
    secured.lab.allow(secured.access.principal, [right])
    play.wait_until_consumed()
    process.wait_until_ready(timeout_s=HEALED_TIMEOUT_S)

    secured.lab.withdraw(secured.access.principal, [right])
    play.submitter.send(lines[2 * EVENTS : 3 * EVENTS])
    began_s = time.monotonic()
    code = process.terminate()
    ended_s = time.monotonic() - began_s
    note(f"{wanted}: SIGTERM: code {code} after {ended_s:.1f} s")
    assert ended_s < END_TIMEOUT_S

    began_s = time.monotonic()
    process = secured.start()
    told = _wait_until_told(process, secured, right)
    note(f"{wanted}: starting: {time.monotonic() - began_s:.1f} s: {told}")
    secured.lab.allow(secured.access.principal, [right])
    play.send(lines[3 * EVENTS :])
    process.wait_until_ready(timeout_s=HEALED_TIMEOUT_S)
    play.assert_whole()


def _is_noticed_while_running(right: Right) -> bool:
    """Tell whether a running processor needs the right for every event."""
    if right.resource != "TOPIC":
        return False
    inputs = ("server-events", "control-events")
    return right.operation == ("READ" if right.name.endswith(inputs) else "WRITE") and "dead-letters" not in right.name


def _wait_until_told(process: ProcessorProcess, secured: Secured, right: Right) -> str:
    wanted = str(right).rstrip("*")

    def told() -> str:
        body = process.get("/readyz")[1]
        return body if wanted in body and secured.access.principal in body else ""

    return wait_for(told, bool, what=f"readyz names {wanted} ({process.get('/readyz')})", timeout_s=TOLD_TIMEOUT_S)


def test_ticks_that_are_lost_are_counted_and_show(secured: Secured, play: Play) -> None:
    process = secured.start(CLOCK__INTERVAL_MS="100")
    policy = {
        "retry_interval_ms": 300,
        "retry_limit": 1000,
        "tombstone_ttl_ms": 86_400_000,
        "scale_down_stabilisation_ms": 60_000,
        "model_autoscaling": True,
        "server_autoscaling": True,
        "pack_servers": False,
    }
    play.send([_line(play, "high", "PolicyChanged", policy)])
    play.send([_line(play, "normal", "ModelLoadRequested", {"model": "iris", "spec": {"uri": "s3://iris"}})])
    process.wait_until_ready()
    right = Right("TOPIC", secured.stage.topics["normal"], "WRITE")
    secured.lab.withdraw(secured.access.principal, [right])
    told = _wait_until_told(process, secured, right)
    assert "clock: a tick was not written" in told
    counted = "processor_clock_ticks_failed_total "
    metrics = process.get("/metrics")[1].splitlines()
    assert float(next(line for line in metrics if line.startswith(counted)).removeprefix(counted)) > 0
    secured.lab.allow(secured.access.principal, [right])
    process.wait_until_ready(timeout_s=HEALED_TIMEOUT_S)
    assert process.terminate() == 0


def _line(play: Play, lane: str, name: str, data: object) -> Line:
    return Line(lane, play.reference.schemas.encode(f"processor.events.{name}", data), now_ms())  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_rotated_password_is_read_again(secured: Secured, play: Play, tmp_path: Path) -> None:
    user = secured.access.principal.removeprefix("User:")
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    settings = {name: value for name, value in secured.settings.items() if not name.endswith("PASSWORD")}
    lines = play.script(2 * EVENTS)
    process = secured.stage.start(**settings, KAFKA__SASL_PASSWORD_FILE=str(file))
    play.send(lines[:EVENTS])
    process.wait_until_ready()
    secured.lab.add_user(user, "another-password")
    secured.lab.server.stop()
    secured.lab.server.start()

    def told() -> bool:
        return f"refuses the password of user {user}" in process.get("/readyz")[1]

    wait_for(told, bool, what="readyz says that the password is refused", timeout_s=TOLD_TIMEOUT_S)
    file.write_text("another-password")
    play.send(lines[EVENTS:])
    process.wait_until_ready(timeout_s=HEALED_TIMEOUT_S)
    play.assert_whole()


def test_the_rights_of_a_shard_leave_out_the_clock_where_there_is_none(secured: Secured) -> None:
    topics = secured.stage.topics
    clock = Right("TOPIC", topics["normal"], "WRITE")
    for ticked in (True, False):
        needed = shard_rights(shard_topics(topics, inputs=(0,), output=0, ticked=ticked), "app-0")  # type: ignore[arg-type]
        assert (clock in needed) == ticked

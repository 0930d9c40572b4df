"""A rebuild on real servers: by the build as it is, by one whose state generator was changed, and killed on its way."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from processor.admin.rebuild import Rebuild
from processor.admin.session import offline_parts
from processor.assembly.connections import store_client
from processor.avro.catalogue import Catalogue
from processor.cli.context import CommandContext
from processor.cli.exits import Exit
from processor.cluster.changes import diff
from processor.cluster.events import Event, ModelLoadRequested
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from processor.configuration.loading import load
from processor.engine.inputs import Accepted
from processor.engine.values import Head
from processor.etcd.shadow import Shadow
from processor.replay.fold import Build
from processor.replay.replaying import Start, refold
from processor.replay.wiring import cluster_build, cluster_sources
from tests.checker.artefacts import Artefacts
from tests.checker.replay import Reference
from tests.integration.play import Play, now_ms
from tests.integration.processes import PROJECT, command
from tests.integration.submitter import Line
from tests.waiting import wait_until

EVENTS = 400
BULK_MODELS = 150
BULK_BYTES = 900
KILLS = 6
KILL_AFTER_S_MAX = 2.5
PROMOTE = ("--promote", "--execute")


class Fixed(ClusterMachine):
    """A state generator that was changed: every second length of a name has at least two replicas."""

    def apply(self, state: State, event: Event) -> State | Rejected:
        if isinstance(event, ModelLoadRequested) and len(event.model) % 2 == 0:
            deployment = event.deployment.model_copy(update={"replicas": max(2, event.deployment.replicas)})
            event = event.model_copy(update={"deployment": deployment})
        return super().apply(state, event)


@contextmanager
def _rebuild(play: Play, machine: ClusterMachine) -> Iterator[Rebuild]:
    """Give a rebuild of the stage's shard with another state machine."""
    settings = load(environment=play.stage.environment()).settings
    context = CommandContext(None)
    catalogue = Catalogue.load(settings.schemas_dir)
    kept = cluster_build(settings, catalogue)
    build = Build(machine, kept.decoder, kept.encoder)
    sources = cluster_sources(context.connection, context.topics, catalogue, shard=0)

    def fold(state: Any, head: Head | None, target: int) -> Any:
        return refold(sources, build, Start(head, state), target)

    with store_client(settings) as client, offline_parts(settings, 0, context.topics) as parts:
        shadow = Shadow(client, settings.etcd.prefix, settings.app, "fix", 0)
        yield Rebuild(msgspec.structs.replace(parts, machine=machine), shadow, fold)


@pytest.fixture
def ran(play: Play, monkeypatch: pytest.MonkeyPatch) -> Artefacts:
    """What a run has left behind; the processor has ended, and the settings point to it."""
    for name, value in play.stage.environment().items():
        monkeypatch.setenv(name, value)
    process = play.stage.start()
    play.send(_bulk(play))
    play.send(play.script(EVENTS))
    play.wait_until_quiet()
    assert process.terminate() == 0
    return play.artefacts()


def _bulk(play: Play) -> list[Line]:
    """Return models that do not compress, so that what differs of them has to be committed in several parts."""
    chance = random.Random(3)
    events = (
        {"model": f"bulk-{number:03}", "spec": {"uri": f"s3://{chance.randbytes(BULK_BYTES).hex()}"}}
        for number in range(BULK_MODELS)
    )
    encode = play.reference.schemas.encode
    return [Line("normal", encode("processor.events.ModelLoadRequested", event), now_ms()) for event in events]


def _folded(told: Artefacts, reference: Reference, machine: ClusterMachine) -> State:
    """Return what a machine makes of the records in their recorded order."""
    records = {(record.topic, record.offset): record for record in told.inputs}
    state = machine.empty()
    for commit in told.commits:
        for span in commit.value["ranges"]:
            for offset in range(span["from"], span["to"]):
                record = records.get((span["topic"], offset))
                decoded = reference.decoder.decode(record) if record else None
                result = machine.apply(state, decoded.event) if isinstance(decoded, Accepted) else state
                state = state if isinstance(result, Rejected) else result
    return state


def test_a_build_that_was_not_changed_finds_no_difference_and_leaves_nothing_behind(play: Play, ran: Artefacts) -> None:
    environment = play.stage.environment()
    before = play.store.keys()
    made = command(environment, "rebuild", "--into", "fix")
    assert (made.returncode, made.stdout) == (Exit.OK, ""), made.stderr
    assert f"the rebuilt state equals the live one at seq {ran.commits[-1].seq}" in made.stderr
    again = command(environment, "rebuild", "--into", "fix", "--promote", "--execute")
    assert (again.returncode, "nothing was committed" in again.stderr) == (Exit.OK, True), again.stderr
    assert command(environment, "rebuild", "--into", "fix").returncode == Exit.OK
    aborted = command(environment, "rebuild", "--into", "fix", "--abort")
    assert (aborted.returncode, "deleted the shadow" in aborted.stderr) == (Exit.OK, True)
    assert command(environment, "rebuild", "--into", "fix", "--abort").returncode == Exit.DIFFERS
    assert _shadow_keys(play) == 0
    assert play.store.keys() == before


def test_a_changed_state_generator_differs_in_exactly_the_entities_that_it_makes_differently(
    play: Play, ran: Artefacts
) -> None:
    expected = diff(_folded(ran, play.reference, ClusterMachine()), _folded(ran, play.reference, Fixed()))
    with _rebuild(play, Fixed()) as rebuild:
        made = rebuild.make()
        assert {change.key for change in expected} == {change.key for change in diff(made.live, made.rebuilt)}
        assert any(change.kind == "model" for change in expected)
        assert len(expected) < len(ran.store.entities), "some are as they were"
        swapped = rebuild.promote(by="the test", facts={"into": "fix"})
    assert {change.key for change in swapped.changes} == {change.key for change in expected}
    assert _shadow_keys(play) == 0
    play.stage.start()
    rebuilt = play.wait_for_commit("rebuild")
    assert (rebuilt["changed"], rebuilt["ranges"]) == (len(expected), [])
    play.send(play.script(EVENTS, seed=2))
    play.assert_whole()
    audit = command(play.stage.environment(), "shards", "audit", "0")
    assert "rebuild" in audit.stdout
    verified = command(play.stage.environment(), "replay", "--verify")
    assert verified.returncode == Exit.OK, verified.stderr
    with _rebuild(play, Fixed()) as rebuild:
        again = rebuild.make()
        assert again.head.seq > rebuilt["seq"]
        assert rebuild.abort()


@pytest.mark.usefixtures("ran")
def test_an_owned_shard_is_rebuilt_and_compared_but_not_promoted(play: Play) -> None:
    environment = play.stage.environment()
    process = play.stage.start()
    process.wait_until_ready()
    assert command(environment, "rebuild", "--into", "fix").returncode == Exit.OK
    play.send(play.script(EVENTS // 4, seed=3))
    plan = command(environment, "rebuild", "--into", "fix", "--promote")
    assert (plan.returncode, "nothing was changed: add --execute" in plan.stderr) == (Exit.OK, True), plan.stderr
    refused = command(environment, "rebuild", "--into", "fix", "--promote", "--execute")
    assert (refused.returncode, "is owned: stop its processors first" in refused.stderr) == (Exit.CONFLICT, True)
    assert command(environment, "rebuild", "--into", "fix", "--abort").returncode == Exit.OK
    play.assert_whole()


@pytest.mark.parametrize(
    ("point", "committed"),
    [
        ("before_commit=kill", False),
        ("after_part=kill", False),
        ("after_part=2*off->kill", False),
        ("after_commit=kill", True),
    ],
)
def test_killed_at_a_certain_moment_it_is_promoted_as_a_whole_or_not_at_all(
    play: Play, ran: Artefacts, point: str, *, committed: bool
) -> None:
    with _rebuild(play, Fixed()) as rebuild:
        expected = rebuild.make()
    limits = {"ETCD__REQUEST_BYTES_MAX": str(64 * 1024)}  # so that the commit has to be staged
    killed = command(
        play.stage.environment(FAILPOINTS=point, TESTING="1", **limits), "rebuild", "--into", "fix", *PROMOTE
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before, after = (ran.commits[-1].seq, ran.store.head["digest"]), (ran.commits[-1].seq + 1, expected.digest)
    assert _head(play) == (after if committed else before)
    wait_until(lambda: play.store.owner_epoch() == 0, what="the killed one's lease has ended", timeout_s=60)
    last = command(play.stage.environment(**limits), "rebuild", "--into", "fix", *PROMOTE)
    assert (last.returncode, "nothing was committed" in last.stderr) == (Exit.OK, committed), last.stderr
    assert _head(play) == after
    assert _shadow_keys(play) == 0
    play.stage.start()
    play.wait_for_commit("rebuild")
    play.send(play.script(EVENTS // 4, seed=4))
    play.assert_whole()


def test_killed_at_any_moment_it_leaves_the_live_state_as_it_was_or_as_it_shall_be(play: Play, ran: Artefacts) -> None:
    with _rebuild(play, Fixed()) as rebuild:
        expected = rebuild.make()
    chance, seq = random.Random(7), ran.commits[-1].seq
    either = {(seq, ran.store.head["digest"]), (seq + 1, expected.digest)}
    for _ in range(KILLS):
        _killed(play, chance.uniform(0.2, KILL_AFTER_S_MAX), *PROMOTE)
        assert _head(play) in either
    for _ in range(KILLS):
        _killed(play, chance.uniform(0.2, KILL_AFTER_S_MAX))
        assert _head(play) in either
    command(play.stage.environment(), "rebuild", "--into", "fix", "--abort")
    assert _shadow_keys(play) == 0
    play.stage.start()
    play.send(play.script(EVENTS // 4, seed=4))
    play.assert_whole()


def _head(play: Play) -> tuple[int, str]:
    head = play.store.head()
    assert head is not None
    return head["seq"], head["digest"]


def _killed(play: Play, after_s: float, *options: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "processor", "rebuild", "--into", "fix", *options],
        cwd=PROJECT,
        env=play.stage.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _shadow_keys(play: Play) -> int:
    """Return how many keys there are of any shadow."""
    settings = load(environment=play.stage.environment()).settings
    root = f"{settings.etcd.prefix}/{settings.app}/rebuild/".encode()
    with store_client(settings) as client:
        return sum(1 for _ in client.pages(root, root[:-1] + b"0", revision=0, page_keys=1_000))

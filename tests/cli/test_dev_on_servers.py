"""`dev --demo` on real servers beside another owner, one that was killed, and a shard that is refused."""

import os
import subprocess

import pytest

from processor.assembly.connections import store_client
from processor.cli.exits import Exit
from processor.configuration.loading import load
from processor.etcd import requests
from processor.etcd.layout import ShardKeys
from tests.cli.conftest import PROCESSOR, STOP_TIMEOUT_S, Cli
from tests.waiting import wait_until


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_SHARDS__LEASE_TTL_S", "1")


@pytest.mark.usefixtures("short_leases", "processor")
def test_the_demo_beside_an_owner_says_who_it_is_and_ends(cli: Cli) -> None:
    (owner,) = cli("shards", "list", "-o", "json").json
    before = cli("commits", "list", "-o", "json").json
    told = cli("dev", "--demo", "--for", "2", "-o", "json")
    assert (told.code, told.out) == (Exit.CONFLICT, "")
    waiting, ended = told.err.splitlines()
    assert waiting.startswith(f"shard 0 (cluster) is owned by {owner['owner']} (process ")
    assert "which is running" in ended
    assert cli("commits", "list", "-o", "json").json == before
    beside = cli("dev", "--for", "1")
    assert (beside.code, "this process stands by" in beside.err) == (Exit.OK, True)


@pytest.mark.slow
@pytest.mark.usefixtures("short_leases", "servers")
def test_the_demo_waits_for_the_lease_of_an_owner_that_was_killed(cli: Cli) -> None:
    assert cli("topics", "apply").code == Exit.OK
    killed = subprocess.Popen([*PROCESSOR, "run"], stderr=subprocess.DEVNULL, env=dict(os.environ))
    wait_until(lambda: cli("status").code == Exit.OK, what="the shard is healthy")
    killed.kill()
    killed.wait(STOP_TIMEOUT_S)
    told = cli("dev", "--demo", "--for", "2", "-o", "json")
    assert told.code == Exit.OK, told.err
    assert "in case it was killed" in told.err
    assert told.json["events"] > 0


@pytest.mark.usefixtures("servers")
def test_the_demo_says_at_once_that_the_shard_is_refused(cli: Cli) -> None:
    settings = load().settings
    head = ShardKeys(settings.etcd.prefix, settings.app, 0).head
    with store_client(settings) as client:
        client.transact(requests.transaction((), (requests.put(head, b"no head"),))).result()
    told = cli("dev", "--demo", "--for", "2", "-o", "json")
    assert (told.code, told.out) == (Exit.CONFLICT, "")
    assert "head cannot be read" in told.err

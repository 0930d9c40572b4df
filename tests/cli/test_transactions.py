"""Inputs that others write in transactions: their ends, aborted records, and transactions that stay open."""

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli
from tests.cli.one_shard import ANSWER_TIMEOUT_S, Shard
from tests.waiting import wait_until


@pytest.fixture
def shard(servers: dict[str, str], cli: Cli) -> Shard:
    assert cli("topics", "apply").code == Exit.OK
    return Shard(cli, servers)


def test_ends_of_transactions_removed_by_retention_are_no_hole(shard: Shard) -> None:
    shard.work("s1")
    shard.foreign_transaction("high").commit_transaction(ANSWER_TIMEOUT_S)
    shard.foreign_transaction("high", b"one", b"two").abort_transaction(ANSWER_TIMEOUT_S)
    shard.work()
    high, _ = shard.cli("offsets", "show", "-o", "json").json
    assert (high["position"], high["end"], high["lag"], high["oldest_waiting_ms"]) == (2, 6, 0, None)
    shard.cut("high")
    high, _ = shard.cli("offsets", "show", "-o", "json").json
    assert (high["position"], high["low"], high["lag"]) == (2, 6, 0)
    assert shard.cli("doctor").code == Exit.OK
    nothing = shard.cli("shards", "accept-gap", "0", "--topic", "high", "--to", "6")
    assert (nothing.code, "nothing to accept" in nothing.err) == (Exit.DIFFERS, True)
    shard.work("s2")
    assert shard.servers() == ["s1", "s2"]
    ranges = [span for commit in shard.commits() for span in commit["ranges"]]
    assert [(span["from"], span["to"], span["count"]) for span in ranges] == [(0, 1, 1), (1, 2, 1), (2, 7, 1)]


@pytest.mark.usefixtures("processor")
def test_an_owner_that_waits_is_healthy_before_and_after_retention_took_the_end_of_a_transaction(
    servers: dict[str, str], cli: Cli
) -> None:
    shard = Shard(cli, servers)
    shard.submit("s1")
    shard.foreign_transaction("high", b"one").abort_transaction(ANSWER_TIMEOUT_S)
    wait_until(lambda: (shard.store.head() or {}).get("scanned") == {servers["high"]: {"0": 3}}, what="it is scanned")
    for low in (3, -1):
        shard.cut("high", low)
        assert [row["lag"] for row in cli("offsets", "show", "-o", "json").json] == [0, 0]
        (row,) = cli("status", "-o", "json").json
        assert (row["status"], row["high_lag"]) == ("healthy", 0)
        assert cli("doctor").code == Exit.OK
    shard.submit("s2")
    wait_until(lambda: shard.servers() == ["s1", "s2"], what="s2 is there")


@pytest.mark.usefixtures("processor")
def test_an_open_transaction_is_lag_and_named_everywhere(servers: dict[str, str], cli: Cli) -> None:
    shard = Shard(cli, servers)
    shard.submit("s1")
    wait_until(lambda: shard.servers() == ["s1"], what="s1 is there")
    foreign = shard.foreign_transaction("high", b"one", b"two")
    named = f"{servers['high']}[0]: an open transaction"
    end_it = f"abort --topic {servers['high']} --partition 0 --start-offset 1"

    high, normal = cli("offsets", "show", "-o", "json").json
    assert (high["position"], high["end"], high["high_watermark"], high["lag"], high["hidden"]) == (1, 1, 3, 2, 2)
    assert high["oldest_waiting_ms"] == high["open_since_ms"] > 0
    assert (normal["lag"], normal["hidden"], normal["open_since_ms"]) == (0, 0, None)
    told = cli("offsets", "show")
    assert (named in told.err, end_it in told.err, "HIGH WATERMARK" in told.out) == (True, True, True)

    told = cli("status", "-o", "json")
    (row,) = told.json
    assert (row["high_lag"], row["normal_lag"], len(row["open_transactions"])) == (2, 0, 1)
    assert named in told.err
    wait_until(lambda: cli("status").code == Exit.DIFFERS, what="it is seen that nothing goes on")

    told = cli("doctor", "-o", "json")
    (check,) = [check for check in told.json if check["check"] == "shard 0 transactions"]
    assert (told.code, check["verdict"], named in check["detail"]) == (Exit.DIFFERS, "failed", True)

    data = '{"server": "s2", "replica": 0, "memory": 1000}'
    told = cli("submit", "ServerReplicaConnected", "--data", data, "--wait", "--timeout", "1")
    assert (told.code, named in told.err, "is a processor running" in told.err) == (Exit.UNREACHABLE, True, False)
    assert cli("offsets", "show", "-o", "json").json[0]["lag"] == 3

    foreign.abort_transaction(ANSWER_TIMEOUT_S)
    wait_until(lambda: shard.servers() == ["s1", "s2"], what="s2 is there")
    wait_until(lambda: [row["lag"] for row in cli("offsets", "show", "-o", "json").json] == [0, 0], what="no lag")
    assert cli("doctor").code == Exit.OK

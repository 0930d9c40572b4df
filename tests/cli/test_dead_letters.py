"""Dead letters submitted again, on real servers."""

import json
from typing import Any

import pytest

from processor.assembly.connections import kafka_connection
from processor.cli.exits import Exit
from processor.configuration.loading import load
from processor.kafka.produce import NewRecord, RecordProducer
from tests.cli.conftest import Cli
from tests.cli.one_shard import Shard

JSON = (("content-type", b"application/json"), ("ce_type", b"ServerReplicaConnected"))
LARGE_BYTES = 4096


@pytest.fixture
def shard(servers: dict[str, str], cli: Cli) -> Shard:
    assert cli("topics", "apply").code == Exit.OK
    return Shard(cli, servers)


def produce(shard: Shard, *values: bytes) -> None:
    with RecordProducer(kafka_connection(load().settings)) as producer:
        for value in values:
            producer.send_record(NewRecord(shard.topics["high"], 0, b"cluster", value, (*JSON, ("x", b"y")), 1_000_000))


def produced(shard: Shard) -> list[dict[str, Any]]:
    out = shard.cli("events", "tail", "--topic", "high", "--from", "beginning", "-o", "json").out
    return [json.loads(line) for line in out.splitlines()]


def test_a_dead_letter_goes_back_to_where_it_came_from(shard: Shard) -> None:
    produce(shard, b"no event", b"none either")
    shard.work()
    topic = shard.topics["high"]
    plan = shard.cli("dead-letters", "retry", f"{topic}-0-0", "-o", "json")
    assert (plan.code, [row["sent_to"] for row in plan.json], "--execute" in plan.err) == (0, [None], True)
    assert len(produced(shard)) == 2
    done = shard.cli("dead-letters", "retry", f"{topic}-0-0", "--execute", "-o", "json")
    assert (done.code, [row["sent_to"] for row in done.json]) == (Exit.OK, [f"{topic}-0-2"])
    first, _, again = produced(shard)
    for field in ("key", "value", "timestamp_ms"):
        assert again[field] == first[field]
    assert again["headers"] == {**first["headers"], "dead-letter-retry-of": f"{topic}-0-0"}
    shard.work()
    letters = shard.cli("dead-letters", "list", "-o", "json").json
    assert [letter["id"] for letter in letters] == [f"{topic}-0-{offset}" for offset in range(3)]

    everything = shard.cli("dead-letters", "retry", "--all", "-o", "json").json
    assert [row["id"] for row in everything] == [f"{topic}-0-{offset}" for offset in range(3)]
    assert len(shard.cli("dead-letters", "retry", "--code", "undecodable", "-o", "json").json) == 3
    assert shard.cli("dead-letters", "retry", "--code", "too_large").code == Exit.DIFFERS
    assert shard.cli("dead-letters", "retry", f"{topic}-0-9").code == Exit.DIFFERS
    assert shard.cli("dead-letters", "retry").code == Exit.USAGE
    assert shard.cli("dead-letters", "retry", "--all", "--code", "undecodable").code == Exit.USAGE


def test_what_was_too_large_is_taken_whole_while_it_is_there(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    event = json.dumps({"server": "s1", "replica": 0, "memory": 1000}).encode()
    monkeypatch.setenv("PROCESSOR_DEAD_LETTERS__VALUE_BYTES_MAX", str(LARGE_BYTES // 2))
    produce(shard, event + b" " * LARGE_BYTES, b"no event" + b" " * 100_000)
    shard.work()
    monkeypatch.delenv("PROCESSOR_DEAD_LETTERS__VALUE_BYTES_MAX")
    assert shard.servers() == []
    topic = shard.topics["high"]
    assert shard.cli("dead-letters", "retry", f"{topic}-0-0", "--execute").code == Exit.OK
    shard.work()
    assert shard.servers() == ["s1"]
    shard.cut("high", 2)
    told = shard.cli("dead-letters", "retry", "--code", "too_large", "--execute", "-o", "json")
    assert told.code == Exit.DIFFERS
    assert ["the record is gone" in row["problem"] for row in told.json] == [True, True]

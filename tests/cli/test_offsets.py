"""Positions shown and moved, on real servers."""

import time
from pathlib import Path

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli
from tests.cli.one_shard import Shard


@pytest.fixture
def shard(servers: dict[str, str], cli: Cli) -> Shard:
    assert cli("topics", "apply").code == Exit.OK
    return Shard(cli, servers)


def test_show_tells_position_group_end_lag_and_age_for_each_lane(shard: Shard) -> None:
    never = shard.cli("offsets", "show", "-o", "json").json
    assert [(row["lane"], row["position"], row["lag"]) for row in never] == [("high", None, 0), ("normal", None, 0)]
    shard.work("s1")
    shard.submit("s2", "s3")
    high, normal = shard.cli("offsets", "show", "-o", "json").json
    assert (high["topic"], high["position"], high["end"], high["lag"]) == (shard.topics["high"], 1, 3, 2)
    assert 0 <= high["oldest_waiting_s"] < time.time()
    assert (normal["position"], normal["lag"], normal["oldest_waiting_ms"]) == (0, 0, None)
    assert "OLDEST WAITING S" in shard.cli("offsets", "show").out


def test_records_are_read_again_or_passed_by_and_the_commit_log_shows_it(shard: Shard, tmp_path: Path) -> None:
    shard.work("s1", "s2", "s3")
    topic = shard.topics["high"]
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600))
    file = tmp_path / "offsets.csv"
    file.write_text(f"{topic},0,1\n")

    def planned(*words: str) -> list[tuple[int, int]]:
        told = shard.cli("offsets", "reset", *words, "-o", "json")
        return [] if told.code == Exit.DIFFERS else [(row["from"], row["to"]) for row in told.json]

    one = ("--topic", "high")
    assert planned(*one, "--to-earliest") == [(3, 0)]
    assert planned("--all-topics", "--to-earliest") == [(3, 0)]
    assert planned(*one, "--to-latest") == []
    assert planned("--topic", f"{topic}:0", "--to-offset", "2") == [(3, 2)]
    assert planned(*one, "--shift-by", "-2") == [(3, 1)]
    assert planned(*one, "--to-datetime", "2000-01-01T00:00:00Z") == [(3, 0)]
    assert planned(*one, "--to-datetime", since) == []
    assert planned(*one, "--by-duration", "P1D") == [(3, 0)]
    assert planned("--from-file", str(file)) == [(3, 1)]
    assert shard.commits()[-1]["kind"] == "batch"

    done = shard.cli("offsets", "reset", *one, "--shift-by", "-2", "--execute", "-o", "json")
    assert [(row["records"], row["done"]) for row in done.json] == [(-2, True)]
    shard.work()
    (gap,) = [commit for commit in shard.commits() if commit["kind"] == "gap"]
    assert gap["ranges"] == [{"topic": topic, "partition": 0, "from": 3, "to": 1, "count": 0}]
    read_again = [commit for commit in shard.commits() if commit["seq"] > gap["seq"]]
    assert sum(commit["events"] for commit in read_again) == 2

    shard.submit("s4")
    shard.cli("offsets", "reset", "--all-topics", "--to-latest", "--execute")
    shard.work()
    assert shard.servers() == ["s1", "s2", "s3"]
    assert shard.audit() == ["offsets-reset", "offsets-reset"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--topic", "high"),
        ("--to-earliest",),
        ("--topic", "high", "--all-topics", "--to-earliest"),
        ("--topic", "high", "--to-earliest", "--to-latest"),
        ("--topic", "changes", "--to-earliest"),
        ("--topic", "high:7", "--to-earliest"),
        ("--topic", "high", "--by-duration", "soon"),
    ],
)
@pytest.mark.usefixtures("servers")
def test_what_is_not_clear_is_asked_for(cli: Cli, words: tuple[str, ...]) -> None:
    told = cli("offsets", "reset", *words)
    assert (told.code, told.out) == (Exit.USAGE, "")


@pytest.mark.usefixtures("processor")
def test_positions_of_a_shard_at_work_are_not_moved(servers: dict[str, str], cli: Cli) -> None:
    shard = Shard(cli, servers)
    shard.submit("s1")
    told = cli("offsets", "reset", "--topic", "high", "--to-earliest", "--execute")
    assert (told.code, "stop the processors first" in told.err) == (Exit.CONFLICT, True)

"""Points as options and arguments, asked where nothing is to be reached."""

from pathlib import Path

import pytest

from processor.cli.context import NO_ADDRESS
from processor.cli.difference import rows_of
from processor.cli.exits import CommandError, Exit
from processor.cli.points import past_of
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime
from tests.cli.conftest import Cli

NONE = {"at_seq": None, "at_time": None, "at_offset": None, "at_revision": None}


def test_an_option_is_a_point() -> None:
    assert past_of(**NONE) is None
    assert past_of(**{**NONE, "at_seq": "7"}) == AtSeq(7)
    assert past_of(**{**NONE, "at_time": "5"}) == AtTime(5)
    assert past_of(**{**NONE, "at_offset": "a.b:0:7"}) == AtOffset("a.b", 0, 7)
    assert past_of(**{**NONE, "at_revision": "7"}) == AtRevision(7)
    with pytest.raises(CommandError, match="--at-seq: 'x' is not a seq"):
        past_of(**{**NONE, "at_seq": "x"})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("state", "get", "--at-seq", "1", "--at-revision", "2"), "one point at a time"),
        (("state", "get", "--at-time", "-x"), "'-x' is no time"),
        (("state", "diff", "seq:1", "yesterday"), "'yesterday' is neither a file nor a point"),
        (("state", "diff", "seq:1"), "B"),
    ],
)
def test_what_is_no_point_is_refused_before_anything_is_reached(cli: Cli, command: tuple[str, ...], said: str) -> None:
    told = cli(*command)
    assert (told.code, said in told.err, told.out) == (Exit.USAGE, True, ""), told.err


def test_a_file_that_holds_no_state_is_invalid_data(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    for content in (b"", b"[1]", b'{"cats": {}}', b"processor snapshot 1\nand no more", b"\xff"):
        path.write_bytes(content)
        told = cli("state", "diff", str(path), str(path))
        assert (told.code, str(path) in told.err) == (Exit.INVALID_DATA, True), told.err


def test_files_are_compared_without_any_server(cli: Cli, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text('{"policy": {"retry_limit": 3}}')
    after.write_text('{"policy": {"retry_limit": 5}}')
    told = cli("state", "diff", str(before), str(after), "-o", "json")
    assert told.code == Exit.DIFFERS
    (policy,) = told.json["differences"]
    assert policy["fields"] == [{"field": "retry_limit", "before": 3, "after": 5}]
    assert cli("state", "diff", str(before), str(before)).code == Exit.OK


def test_the_past_of_an_embedded_processor_needs_its_brokers(cli: Cli) -> None:
    told = cli("state", "get", "--at-seq", "5", "--server", "http://127.0.0.1:1")
    assert (told.code, NO_ADDRESS in told.err) == (Exit.USAGE, True)


def test_times_are_shown_as_times_and_what_came_as_one_row() -> None:
    changed = {"field": "replicas.0.since_ms", "before": 0, "after": 1000}
    updated = {"kind": "model", "name": "iris", "op": "update", "fields": [changed], "transitions": []}
    created = {"kind": "model", "name": "rose", "op": "create", "fields": [], "transitions": [{"type": "ModelAdded"}]}
    assert list(rows_of([updated, created])) == [
        {
            "kind": "model",
            "name": "iris",
            "field": "replicas.0.since_ms",
            "before": "1970-01-01T00:00:00.000Z",
            "after": "1970-01-01T00:00:01.000Z",
        },
        {"kind": "model", "name": "rose", "field": "(created)", "before": None, "after": "ModelAdded"},
    ]

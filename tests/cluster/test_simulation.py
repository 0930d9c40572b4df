import json

import pytest

from processor.cluster.simulation import parse_line, simulate

TICK = '{"type": "ClockTicked", "at_ms": 1, "data": {}}'
CONNECT = '{"type": "ServerReplicaConnected", "at_ms": 1, "data": {"server": "s1", "replica": %d}}'
UNLOAD = '{"id": "a", "type": "ModelUnloadRequested", "at_ms": 1, "data": {"model": "iris"}}'


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("{", ""),
        ("[]", ""),
        ("NaN", ""),
        ("3", ""),
        ('{"type": 3, "at_ms": 1, "data": {}}', ""),
        ('{"at_ms": 1, "data": {}}', ""),
        ("[" * 100_000, ""),
        ('{"type": "ClockTicked", "at_ms": 1}', "ClockTicked"),
        ('{"type": "ClockTicked", "data": {}}', "ClockTicked"),
        ('{"type": "ClockTicked", "at_ms": true, "data": {}}', "ClockTicked"),
        ('{"type": "ClockTicked", "at_ms": 1, "data": []}', "ClockTicked"),
        ('{"type": "ClockTicked", "at_ms": 1, "data": {}, "more": 1}', "ClockTicked"),
        ('{"type": "Nothing", "at_ms": 1, "data": {}}', "Nothing"),
    ],
)
def test_a_line_that_is_no_event_is_rejected(line: str, name: str) -> None:
    result = simulate([line])
    assert [(entry["index"], entry["type"], entry["code"]) for entry in result["rejected"]] == [
        (0, name, "invalid_event")
    ]
    assert result["changes"] == []


@pytest.mark.parametrize(
    "line",
    [
        r'{"type": "\ud800", "at_ms": 1, "data": {}}',
        r'{"type": "ClockTicked", "at_ms": 1, "data": {}, "\ud800": 1}',
        r'{"type": "ClockTicked", "at_ms": 1, "data": {"\ud800": 1}}',
        r'{"type": "ModelLoadRequested", "at_ms": 1, "data": {"model": "a", "spec": {"uri": "\udfff"}}}',
    ],
)
def test_what_no_encoding_can_carry_is_not_passed_on(line: str) -> None:
    result = simulate([line])
    assert json.dumps(result, ensure_ascii=False).encode()
    assert [entry["code"] for entry in result["rejected"]] == ["invalid_event"]


def test_an_event_may_have_an_id() -> None:
    assert type(parse_line(UNLOAD)["event"]).__name__ == "ModelUnloadRequested"


def test_blank_lines_do_not_count_and_rejections_take_their_place_in_the_batch() -> None:
    lines = ["", UNLOAD, "  ", CONNECT % 0, "{", CONNECT % 1, ""]
    result = simulate(lines, batch_events=2)
    assert [(entry["index"], entry["code"]) for entry in result["rejected"]] == [
        (0, "unknown_target"),
        (2, "invalid_event"),
    ]
    assert [(change["batch"], change["op"]) for change in result["changes"]] == [(0, "create"), (1, "update")]


def test_one_batch_tells_only_what_is_left_of_it() -> None:
    assert simulate([TICK, TICK], batch_events=9)["changes"] == []
    result = simulate([CONNECT % 0, CONNECT % 1], batch_events=9)
    assert len(result["changes"]) == 1
    assert [transition["type"] for transition in result["changes"][0]["transitions"]] == [
        "ServerAdded",
        "ServerReplicaAdded",
        "ServerReplicaAdded",
    ]


def test_the_result_is_plain_json() -> None:
    result = simulate([CONNECT % 0])
    assert json.loads(json.dumps(result)) == result

import io
import json
from typing import Any

import pytest
import yaml

from processor.cli.output import cell, emit_document, emit_rows, emit_stream, json_text, table
from processor.runtime.terminal import coloured, paint

ROWS: list[dict[str, Any]] = [
    {"kind": "model", "name": "iris", "replicas": [0, 1]},
    {"kind": "server", "name": "s1", "replicas": []},
]


def test_a_table_is_as_wide_as_its_widest_cells() -> None:
    assert table(ROWS, ("kind", "name", "replicas")) == [
        "KIND    NAME  REPLICAS",
        "model   iris  0,1",
        "server  s1    -",
    ]


def test_an_empty_table_is_its_heading() -> None:
    assert table([], ("kind", "next_offset")) == ["KIND  NEXT OFFSET"]


def test_cells_are_short_texts() -> None:
    assert [cell(value) for value in (None, True, 0, "", ["a", "b"], {"a": 1})] == [
        "-",
        "yes",
        "0",
        "-",
        "a,b",
        '{"a": 1}',
    ]
    assert len(cell("x" * 1000)) == 100


def test_machine_forms_hold_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(ROWS, "json", columns=("name",), name="name")
    assert json.loads(capsys.readouterr().out) == ROWS
    emit_rows(ROWS, "yaml", columns=("name",), name="name")
    assert yaml.safe_load(capsys.readouterr().out) == ROWS


def test_the_name_form_is_one_name_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(ROWS, "name", columns=("kind",), name="name")
    assert capsys.readouterr().out == "iris\ns1\n"


def test_a_json_stream_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    count = emit_stream(ROWS, "json", line=str, name="name")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert count == len(ROWS)


def test_a_yaml_stream_has_a_document_an_item(capsys: pytest.CaptureFixture[str]) -> None:
    emit_stream(ROWS, "yaml", line=str, name="name")
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == ROWS


def test_readable_lines_are_made_by_the_caller(capsys: pytest.CaptureFixture[str]) -> None:
    emit_stream(ROWS, "table", line=lambda row: f"{row['name']}!", name="name")
    assert capsys.readouterr().out == "iris!\ns1!\n"


def test_a_document_is_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"b": [1, 2], "a": None, "rows": [{"x": True}, {"x": "line\nline"}], "long": "y" * 500}
    emit_document(document, "table", name="model/iris")
    assert capsys.readouterr().out.splitlines() == [
        "FIELD     VALUE",
        "b         1,2",
        "a         -",
        "rows.0.x  yes",
        'rows.1.x  "line\\nline"',
        f"long      {'y' * 500}",
    ]
    emit_document(document, "name", name="model/iris")
    assert capsys.readouterr().out == "model/iris\n"
    emit_document(document, "yaml", name="model/iris")
    assert yaml.safe_load(capsys.readouterr().out) == document
    emit_document(document, "json", name="model/iris")
    assert json.loads(capsys.readouterr().out) == document


def test_json_shows_bytes_as_hex_and_refuses_what_it_does_not_know() -> None:
    assert json_text({"digest": b"\x01\xff"}) == '{"digest": "01ff"}'
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        json_text(object())


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured(_Terminal())
    assert not coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(_Terminal())


def test_paint_leaves_text_alone_where_no_colour_is_wanted() -> None:
    assert paint("ok", "green", wanted=False) == "ok"
    assert paint("ok", "green", wanted=True) == "\x1b[32mok\x1b[0m"

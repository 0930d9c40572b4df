import json
import subprocess
import sys
from pathlib import Path

import pytest

from processor.cli.app import COMMANDS, build, run
from processor.cli.exits import Exit


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == Exit.OK
    text = capsys.readouterr().out
    commands = [name for name in build() if not name.startswith("-")]
    assert commands
    assert [name for name in commands if name not in text] == []


def test_the_list_shows_the_first_line_of_a_command_s_own_page() -> None:
    app = build()
    pages = {name: command.__doc__ or "" for name in COMMANDS if (command := app[name].default_command)}
    assert {name: COMMANDS[name][1] for name in pages} == {name: page.splitlines()[0] for name, page in pages.items()}


def test_help_needs_no_heavy_import() -> None:
    program = (
        "import sys; from processor.cli.app import run; run(['--help']);"
        "heavy = {'confluent_kafka', 'grpc', 'fastavro', 'pydantic', 'yaml', 'structlog'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "tokens", [["no-such-command"], ["version", "-o", "xml"], ["simulate"], ["config", "show", "x"]]
)
def test_a_wrong_command_line_is_one_sentence_on_stderr(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tokens) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "processor", "version", "-o", "json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["processor"] == "0.1.0"


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = f"{sys.executable} -m processor config show -o json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("0", "")


def test_config_show_tells_origins_and_hides_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "processor.toml"
    file.write_text("[batch]\nevents_max = 7\n")
    for name, value in {"USERNAME": "me", "PASSWORD": "hush", "ALLOW_PLAINTEXT": "true"}.items():
        monkeypatch.setenv(f"PROCESSOR_ETCD__{name}", value)
    assert run(["config", "show", "--config", str(file), "-o", "json"]) == Exit.OK
    text = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(text)}
    assert (rows["batch.events_max"]["value"], rows["batch.events_max"]["origin"]) == (7, "file")
    assert rows["etcd.password"]["origin"] == "environment"
    assert "hush" not in text


def test_wrong_settings_end_a_command_with_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINT", "x:1")
    assert run(["config", "show"]) == Exit.USAGE
    assert "nearest one is PROCESSOR_ETCD__ENDPOINTS" in capsys.readouterr().err

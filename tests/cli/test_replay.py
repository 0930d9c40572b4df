"""What `replay` refuses before it looks anywhere, and what its what-if says."""

import io
from pathlib import Path

import pytest

from processor.cli.app import run
from processor.cli.exits import CommandError, Exit
from processor.cli.progress import Progress, line
from processor.cli.whatif import machine_of, readable
from processor.cluster.machine import ClusterMachine


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from-seq", "3", "--from-snapshot", "x"), "one start at a time"),
        (("--announcements",), "--announcements goes with --verify"),
        (("--with-events", "x"), "go together"),
        (("--at-seq", "3"), "go together"),
        (("--without", "a", "--verify"), "exclude --verify and --snapshot"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert run(("replay", *options)) == Exit.USAGE
    assert said in capsys.readouterr().err


def test_a_state_machine_is_found_by_class_or_by_value() -> None:
    assert isinstance(machine_of("processor.cluster.machine:ClusterMachine"), ClusterMachine)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("processor.cluster.machine", "must be MODULE:ATTRIBUTE"),
        ("processor.nowhere:Machine", "No module named"),
        ("processor.cluster.machine:Nobody", "PYTHONPATH"),
        ("pathlib:Path", "is not a state machine: it has no version, rejection"),
    ],
)
def test_what_is_no_state_machine_is_refused(named: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as told:
        machine_of(named)
    assert told.value.code == Exit.USAGE


def test_another_history_is_told_in_words() -> None:
    turn = {"seq": 3, "type": "Event", "event_id": "e", "recorded": "applied", "instead": "rejected"}
    fields = [{"field": "status", "before": "loaded", "after": None}]
    document = {
        "from_seq": 0,
        "to_seq": 9,
        "digest": "aa",
        "digest_instead": "bb",
        "extra_outcomes": ["applied"],
        "parted": 3,
        "joined": 7,
        "turns": [turn],
        "turned": 2,
        "differences": [{"op": "update", "kind": "model", "name": "iris", "fields": fields}],
    }
    assert list(readable(document)) == [
        "seq 0 to 9, as recorded: aa",
        "the other history: bb",
        "an event put in: applied",
        "the histories part at seq 3, and are the same again from seq 7 on",
        "commit 3: Event e is rejected instead of applied",
        "and 1 events more with another outcome",
        "update model/iris",
        "  status: loaded → -",
    ]
    assert list(readable({**document, "parted": None}))[-1] == "the histories never part"


def test_progress_is_a_bar_with_share_rate_and_what_is_left() -> None:
    assert line(5, 20, 1000, 10.0, "events") == "[#######.......................]  25%  100 events/s  30 s left"
    assert line(0, 0, 0, 0.0, "events").startswith("[##############################] 100%")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_only() -> None:
    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        with Progress("events", stream) as progress:
            progress.show(1, 2, 10)
    assert file.getvalue() == ""
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_file_that_is_no_snapshot_is_refused_before_any_server_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "x.snapshot"
    file.write_text("hello")
    assert run(("state", "import", str(file))) == Exit.INVALID_DATA
    assert "is no snapshot" in capsys.readouterr().err

"""The checker as a program over files."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checker.dumping import files, read, write
from tests.checker.memory_run import honest_run, mended_run
from tests.checker.reference import cluster_reference

PROJECT = Path(__file__).resolve().parents[2]


def judged(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.checker", str(directory)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("watched", [True, False])
def test_what_was_written_reads_back(tmp_path: Path, *, watched: bool) -> None:
    artefacts = replace(honest_run(), acknowledged_ms={("high", 0, 1): 7})
    path = write(artefacts, tmp_path, "0", watched=artefacts.changes if watched else None)
    assert list(files(tmp_path)) == [path]
    assert read(path, cluster_reference().schemas) == (artefacts, artefacts.changes if watched else None)


def test_whole_shards_are_told_and_end_with_0(tmp_path: Path) -> None:
    write(honest_run(), tmp_path, "0")
    write(mended_run(), tmp_path, "1")
    ended = judged(tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.rpartition(" ")[2] for line in ended.stdout.splitlines()] == ["whole", "whole"]


def test_a_violation_in_one_of_several_shards_is_told_with_the_shard_and_ends_with_1(tmp_path: Path) -> None:
    artefacts = honest_run()
    write(artefacts, tmp_path, "0")
    write(replace(artefacts, changes=artefacts.changes[1:]), tmp_path, "1")
    write(artefacts, tmp_path, "2", watched=artefacts.changes[1:])
    ended = judged(tmp_path)
    assert ended.returncode == 1
    first, second, *_ = ended.stdout.splitlines()
    assert first.endswith("whole")
    assert "1.artefacts.json" in second
    assert second.endswith("violated")
    assert "  numbered (" in ended.stdout
    assert "  read along (1): a consumer that read along saw" in ended.stdout


def test_nothing_to_judge_ends_with_2(tmp_path: Path) -> None:
    ended = judged(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")

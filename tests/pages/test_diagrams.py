import os
import subprocess
import sys
from pathlib import Path

import pytest

from processor.reference.diagrams import diagram, pages

PROJECT = Path(__file__).resolve().parents[2]
LIFECYCLE = PROJECT / "docs" / "lifecycle"


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_page_is_what_the_tables_say_now(name: str) -> None:
    assert (LIFECYCLE / name).read_text() == pages()[name], "run: make diagrams"


def test_there_is_no_page_without_a_table() -> None:
    assert {path.name for path in LIFECYCLE.glob("*.md")} == set(pages())


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_hash_seed_does_not_matter(hash_seed: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    subprocess.run(
        [sys.executable, "-m", "processor.reference.diagrams", tmp_path], cwd=PROJECT, env=environment, check=True
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == pages()


def test_several_ways_between_two_states_are_one_arrow() -> None:
    drawn = diagram([("A", "B", "first"), ("A", "B", "second"), ("A", "B", "first")])
    assert "A --> B: first / second" in drawn

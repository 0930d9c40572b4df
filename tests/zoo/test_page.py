"""The published table names every defect that there is, and tests that exist."""

import subprocess
import sys
from pathlib import Path

from tests.simulation.zoo import ZOO
from tests.zoo.catalogue import CATALOGUE, SIMULATION
from tests.zoo.page import Caught, caught, rows, written

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "bug-zoo.md"


def test_the_page_has_every_defect_and_its_test() -> None:
    assert rows(PAGE.read_text()) == [(entry.defect, entry.test) for entry in CATALOGUE], "make bug-zoo writes it"


def test_every_specimen_of_the_simulation_is_in_the_catalogue() -> None:
    simulated = [entry.test for entry in CATALOGUE if entry.test.startswith(SIMULATION)]
    assert sorted(simulated) == sorted(f"{SIMULATION}[{name}]" for name in ZOO)


def test_every_test_of_the_catalogue_exists() -> None:
    files = sorted({entry.test.partition("::")[0] for entry in CATALOGUE})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *files]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [entry.test for entry in CATALOGUE if entry.test not in told] == []


def test_a_written_page_reads_back() -> None:
    found = {entry.test: Caught("0.1", "3") for entry in CATALOGUE}
    assert rows(written(found)) == [(entry.defect, entry.test) for entry in CATALOGUE]


def test_a_test_that_failed_has_caught_nothing() -> None:
    report = (
        '<testsuites><testsuite><testcase classname="tests.a.test_b" name="test_c[d]" time="0.26">'
        '<properties><property name="seeds" value="7"/></properties></testcase>'
        '<testcase classname="tests.a.test_b" name="test_e" time="1"><failure/></testcase></testsuite></testsuites>'
    )
    assert caught(report) == {"tests/a/test_b.py::test_c[d]": Caught("0.3", "7")}

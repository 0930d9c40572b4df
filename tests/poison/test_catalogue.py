"""Each hostile record, decoded and reduced in a process of its own under limits of memory and of processor time."""

import json
import subprocess
import sys

import pytest

from tests.poison.catalogue import CATALOGUE
from tests.poison.kinds import Poison
from tests.poison.sandbox import MEMORY_BYTES_MAX

pytestmark = pytest.mark.slow
SANDBOX_TIMEOUT_S = 300.0
KILLED_BY_CPU_LIMIT = "ended with -9"


def printed(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=SANDBOX_TIMEOUT_S
    ).stdout


def confined(expression: str) -> str:
    return printed("-c", f"from tests.poison.sandbox import confined; print(confined({expression})[0])").strip()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[str, str]]:
    """What became of each record, without and with a schema registry."""
    lines = printed("-m", "tests.poison.sandbox").splitlines()
    return {name: (plain, registered) for name, plain, registered, _ in map(json.loads, lines)}


@pytest.mark.parametrize("poison", CATALOGUE, ids=lambda poison: poison.name)
def test_a_hostile_record_has_its_outcome_within_the_limits(
    poison: Poison, outcomes: dict[str, tuple[str, str]]
) -> None:
    assert outcomes[poison.name] == (poison.outcome, poison.registered or poison.outcome)


def test_each_hostile_record_has_a_name_of_its_own() -> None:
    assert len({poison.name for poison in CATALOGUE}) == len(CATALOGUE)


def test_who_takes_more_memory_than_allowed_is_ended() -> None:
    assert confined(f"lambda: str(len(bytes({MEMORY_BYTES_MAX // 2})))") == str(MEMORY_BYTES_MAX // 2)
    assert confined(f"lambda: str(len(bytes({2 * MEMORY_BYTES_MAX})))") == "ended with 1"


def test_who_takes_more_time_than_allowed_is_ended() -> None:
    assert confined("lambda: str(sum(iter(int, 1))), cpu_s_max=1") == KILLED_BY_CPU_LIMIT

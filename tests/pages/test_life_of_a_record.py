import re
from functools import reduce
from importlib import import_module

import pytest

from processor.configuration.shipped import PROJECT_DIRECTORY

PAGE = PROJECT_DIRECTORY / "docs" / "explanation" / "life-of-a-record.md"
NAMES = sorted(set(re.findall(r"`([a-z_.]+):([A-Za-z_.]+)`", PAGE.read_text())))


def test_the_page_names_functions() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize(("module", "path"), NAMES, ids=str)
def test_a_function_that_the_page_names_exists(module: str, path: str) -> None:
    assert reduce(getattr, path.split("."), import_module(f"processor.{module}"))

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write what happens into the transcripts, for review")


@pytest.fixture
def rewriting(request: pytest.FixtureRequest) -> bool:
    """Whether the transcripts are to be written anew; the option exists only where pytest was told this folder."""
    return bool(request.config.getoption("--rewrite", default=False))

"""The stage of the integration tests, for examples that need real servers."""

from tests.integration.conftest import play, stage

__all__ = ["play", "stage"]

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.security.etcd_lab import Administrator, EtcdLab, etcd_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdLab]:
    """One secured etcd for a module."""
    with etcd_lab(tmp_path_factory.mktemp("etcd-lab")) as started:
        yield started


@pytest.fixture(scope="module")
def root(lab: EtcdLab) -> Iterator[Administrator]:
    """Who gives rights there and takes them."""
    with closing(Administrator(lab)) as administrator:
        yield administrator

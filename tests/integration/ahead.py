"""Cells of the kill matrix played a few at a time, ahead of the tests that ask for them: most of a cell is waiting."""

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.kill_matrix import Cell
from tests.integration.play import Play
from tests.integration.stage import Stage
from tests.integration.trial import Survived, Trial
from tests.services import Etcd, Kafka

AT_ONCE = 2


class Ahead:
    """Plays cells in their order, each on topics, keys and in a directory of its own, on the same servers."""

    def __init__(self, kafka: Kafka, etcd: Etcd, directories: Mapping[Cell, Path]) -> None:
        self._kafka = kafka
        self._etcd = etcd
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="cell")
        self._futures = {cell: self._pool.submit(self._play, cell, path) for cell, path in directories.items()}

    def survived(self, cell: Cell) -> Survived:
        """Return what a cell came to once it was played; raises what went wrong in it."""
        return self._futures[cell].result()

    def close(self) -> None:
        """Play no more cells, and wait for those that are under way."""
        self._pool.shutdown(cancel_futures=True)

    def _play(self, cell: Cell, directory: Path) -> Survived:
        stage = Stage(f"test-{secrets.token_hex(5)}", self._kafka.bootstrap, self._etcd.endpoint, directory)
        stage.build()
        play = Play(stage)
        try:
            return Trial(play, cell).run()
        finally:
            play.close()
            stage.strike()

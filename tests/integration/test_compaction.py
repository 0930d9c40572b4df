"""etcd keeps what was overwritten until somebody compacts it: the owner does."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.integration.conftest import Note
from tests.integration.play import Play
from tests.integration.stage import Stage
from tests.local_servers import LocalServer
from tests.services import Kafka
from tests.waiting import wait_until

EVENTS = 1500
PARTS = 5


@pytest.mark.slow
def test_old_revisions_are_compacted_while_the_processor_runs(
    kafka: Kafka, own_etcd: Callable[..., LocalServer], namespace: str, tmp_path: Path, note: Note
) -> None:
    # compaction is for the whole store, so this test has one of its own
    stage = Stage(namespace, kafka.bootstrap, own_etcd().address, tmp_path)
    stage.build()
    play = Play(stage)
    try:
        stage.start(ETCD__COMPACT_INTERVAL_S="0.5", ETCD__HISTORY_KEEP_S="1")
        lines = play.script(EVENTS)
        sizes = []
        for part in range(PARTS):
            revision = play.store.revision()
            play.send(lines[part * len(lines) // PARTS : (part + 1) * len(lines) // PARTS])
            wait_until(partial(play.store.is_compacted, revision), what=f"revision {revision} is compacted")
            sizes.append(play.store.bytes_in_use())
        note(f"bytes in use after each {EVENTS // PARTS} events: {sizes}")
        play.assert_whole()
    finally:
        play.close()
        stage.strike()

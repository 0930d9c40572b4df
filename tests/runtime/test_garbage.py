import gc
from collections.abc import Iterator

import pytest

from processor.runtime.garbage import YOUNG_OBJECTS_MAX, freeze_heap


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_was_loaded_is_looked_through_no_more() -> None:
    loaded = [[number] for number in range(1_000)]

    freeze_heap()

    tracked = {id(item) for item in gc.get_objects()}
    assert not tracked & {id(item) for item in loaded}
    assert gc.get_freeze_count() >= len(loaded)
    assert gc.get_threshold()[0] == YOUNG_OBJECTS_MAX


def test_a_second_load_does_not_keep_the_garbage_of_the_first() -> None:
    class Node:
        me: object = None

    first = Node()
    first.me = first
    freeze_heap()
    kept = len([item for item in gc.get_objects() if isinstance(item, Node)])
    del first

    freeze_heap()
    gc.unfreeze()

    assert kept == 0
    assert not [item for item in gc.get_objects() if isinstance(item, Node)]

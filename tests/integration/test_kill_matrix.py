"""Every place at which a crash could hurt, and every way to fall: a sample; with `make kill-matrix` all of them."""

from itertools import product

import pytest

from processor.runtime.failpoints import POINTS
from tests.integration.conftest import Note
from tests.integration.kill_matrix import ACTIONS, MATRIX, MODES, PROCESSES, Cell, sample
from tests.integration.play import Play
from tests.integration.trial import Trial


@pytest.mark.slow
@pytest.mark.parametrize("cell", sample(), ids=lambda cell: cell.name)
def test_whatever_happens_at_a_failpoint_nothing_is_lost_and_somebody_goes_on(
    play: Play, note: Note, cell: Cell
) -> None:
    note(str(Trial(play, cell).run()))


@pytest.mark.slow
@pytest.mark.kill_matrix
@pytest.mark.parametrize("cell", MATRIX, ids=lambda cell: cell.name)
def test_nothing_is_lost_and_somebody_goes_on_in_every_cell_of_the_matrix(play: Play, note: Note, cell: Cell) -> None:
    note(str(Trial(play, cell).run()))


def test_the_sample_has_every_point_and_every_pair_of_fault_and_number_and_of_fault_and_mode() -> None:
    cells = sample()
    assert [cell.point for cell in cells] == list(POINTS)
    assert {(cell.action, cell.processes) for cell in cells} == set(product(ACTIONS, PROCESSES))
    assert {(cell.action, cell.mode) for cell in cells} == set(product(ACTIONS, MODES))
    assert len({cell.name for cell in MATRIX}) == len(POINTS) * len(ACTIONS) * len(PROCESSES) * len(MODES)

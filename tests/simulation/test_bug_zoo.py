"""Every defect is found, and soon: what finds nothing in a broken processor says nothing of a sound one."""

import pytest

from tests.simulation.run import Run
from tests.simulation.zoo import ZOO, Specimen

SEEDS_MAX = 150


@pytest.mark.parametrize("specimen", ZOO.values(), ids=ZOO)
def test_the_simulation_finds(specimen: Specimen) -> None:
    runs = (Run(seed, always=specimen.provoked_by, defect=specimen.defect) for seed in range(SEEDS_MAX))
    assert any(run.play().findings for run in runs)


@pytest.mark.parametrize("provoked_by", {specimen.provoked_by for specimen in ZOO.values()})
def test_the_faults_that_bring_defects_to_light_are_no_defects_themselves(provoked_by: tuple[str, ...]) -> None:
    assert [seed for seed in range(5) if Run(seed, always=provoked_by).play().findings] == []

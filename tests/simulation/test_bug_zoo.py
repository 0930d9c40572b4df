"""Every defect is found, and soon: what finds nothing in a broken processor says nothing of a sound one."""

from collections.abc import Callable

import pytest

from tests.cluster.hash_seeds import outputs
from tests.simulation.run import Run
from tests.simulation.workload import FragileTwins
from tests.simulation.wrong_rules import SetOrder
from tests.simulation.zoo import ZOO, Specimen

SEEDS_MAX = 150


@pytest.mark.parametrize("specimen", ZOO.values(), ids=ZOO)
def test_the_simulation_finds(specimen: Specimen, record_property: Callable[[str, object], None]) -> None:
    for seed in range(SEEDS_MAX):
        findings = Run(seed, always=specimen.provoked_by, defect=specimen.defect).play().findings
        if findings:
            record_property("seeds", seed + 1)
            record_property("finding", findings[0])
            return
    raise AssertionError(f"{SEEDS_MAX} seeds have found nothing")


@pytest.mark.parametrize("provoked_by", {specimen.provoked_by for specimen in ZOO.values()})
def test_the_faults_that_bring_defects_to_light_are_no_defects_themselves(provoked_by: tuple[str, ...]) -> None:
    assert [seed for seed in range(5) if Run(seed, always=provoked_by).play().findings] == []


@pytest.mark.parametrize(("machine", "different"), [(FragileTwins, 1), (SetOrder, 3)], ids=["FragileTwins", "SetOrder"])
def test_another_hash_seed_shows_the_order_of_a_set(machine: type[FragileTwins], different: int) -> None:
    script = (
        f"from {machine.__module__} import {machine.__name__} as Machine\n"
        "from examples.device_twins.machine import DeviceReported\n"
        "machine = Machine(None, 1); start = after = machine.empty()\n"
        "for letter in 'abcdefghij': after = machine.apply(after, DeviceReported(at_ms=1, device=letter, reading=1))\n"
        "print([change.key for change in machine.diff(start, after)])"
    )
    assert len(outputs(script, "0", "1", "4711")) == different

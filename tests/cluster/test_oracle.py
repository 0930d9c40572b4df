"""The state generator and a slow telling of the same rules agree in every field after every event."""

import pytest

from processor.cluster.document import to_document
from processor.cluster.rejection import Rejected
from tests.cluster.oracle_rules import reduced
from tests.cluster.scenarios import told

SEEDS = range(30)
LENGTH = 150


@pytest.mark.parametrize("seed", SEEDS)
def test_two_tellings_of_the_rules_agree(seed: int) -> None:
    outcomes = set()
    for before, event, outcome in told(seed, LENGTH):
        document, code = reduced(to_document(before), event)
        if isinstance(outcome, Rejected):
            assert code == outcome.code
        else:
            assert (document, code) == (to_document(outcome), "")
        outcomes.add(code or ("unchanged" if outcome is before else "applied"))
    assert {"applied", "unchanged"} < outcomes

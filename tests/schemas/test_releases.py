from processor.avro.releases import conflicts, load_histories
from tests.schemas.test_schemas import CURRENT, SCHEMAS

HISTORIES = load_histories(SCHEMAS)


def test_every_version_of_a_record_reads_what_every_other_wrote() -> None:
    assert len(HISTORIES) == len(CURRENT)
    assert [conflict for history in HISTORIES for conflict in conflicts(history)] == []

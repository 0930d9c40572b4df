from processor.avro.catalogue import Catalogue
from processor.cli.exits import Exit
from processor.clients import EventEncoder
from processor.settings import PROJECT_DIRECTORY
from tests.cli.conftest import Cli


def test_a_value_becomes_json(cli: Cli) -> None:
    encode = EventEncoder(Catalogue.load(PROJECT_DIRECTORY / "schemas"))
    value, _ = encode("ModelUnloadRequested", {"model": "iris", "generation": 4})
    told = cli("schemas", "decode", value.hex())
    assert told.json == {
        "type": "processor.events.ModelUnloadRequested",
        "value": {"model": "iris", "generation": 4},
    }


def test_what_is_no_value_is_invalid(cli: Cli) -> None:
    for text in ("zz", "00", "c30100000000000000ff"):
        assert cli("schemas", "decode", text).code == Exit.INVALID_DATA


def test_every_schema_is_listed_by_its_fingerprint(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli("schemas", "list", "-o", "json").json}
    assert "processor.state.Model" in rows
    assert len({row["fingerprint"] for row in rows.values()}) == len(rows)

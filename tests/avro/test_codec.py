from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.codec import AvroEncoder, record_name
from processor.avro.records import RecordCodec
from processor.avro.schema import SchemaInvalid
from processor.engine.announcements import ChangeSource, CommitRecord, EventRejection, OutcomeRun
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Cause, Range
from processor.engine.ports import Encoder
from tests.avro.shop import (
    Item,
    ItemCounted,
    ItemMoved,
    Owner,
    TopShelf,
    current_entity,
    shop_catalogue,
)

SOURCE = ChangeSource("north", 2, 7, 40, 3, 9, 1234, 98765, 1)
SHELF = TopShelf("a/b", True, 3, Owner("ann", 5), (Item("s1", 2, ()),), ("x",), 0.5)  # noqa: FBT003 - its own order
EMPTIED = msgspec.structs.replace(SHELF, items=(), owner=None)
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


class Change(msgspec.Struct, frozen=True):
    kind: str
    name: str
    op: str
    before: TopShelf | None
    after: TopShelf | None
    transitions: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


class World:
    def __init__(self, directory: Path) -> None:
        catalogue = shop_catalogue(directory)
        self.encoder = AvroEncoder(catalogue, {"top_shelf": TopShelf}, namespace="shop")
        self._records = RecordCodec(catalogue)

    def data(self, value: bytes) -> tuple[str, dict[str, Any]]:
        return self._records.decode_record(value)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("schemas"))


def test_the_encoder_is_what_the_engine_asks_for(world: World) -> None:
    encoder: Encoder = world.encoder
    value = encoder.encode("top_shelf/a/b", SHELF)
    assert encoder.decode("top_shelf/a/b", value) == SHELF
    assert value.endswith(encoder.body(value))
    assert len(value) == len(encoder.body(value)) + 10
    assert world.data(value) == ("shop.state.TopShelf", plain(SHELF))


@pytest.mark.parametrize(
    ("op", "letter", "before", "after"),
    [("create", "c", None, SHELF), ("update", "u", SHELF, EMPTIED), ("delete", "d", EMPTIED, None)],
)
def test_a_change_is_announced_with_the_stored_bytes(
    world: World, op: str, letter: str, before: TopShelf | None, after: TopShelf | None
) -> None:
    stored = [world.encoder.encode("top_shelf/a/b", shelf) if shelf else None for shelf in (before, after)]
    change = Change("top_shelf", "a/b", op, before, after, (ItemMoved("s1", "x"), ItemCounted("Counted", 4)))
    announced = world.encoder.change(change, before=stored[0], after=stored[1], source=SOURCE, ts_ms=17)
    assert (announced.key, announced.type) == ("top_shelf/a/b", "shop.changes.TopShelfChanged")
    assert all(value[10:] in announced.value for value in stored if value)
    assert world.data(announced.value) == (
        "shop.changes.TopShelfChanged",
        {
            "op": letter,
            "before": plain(before),
            "after": plain(after),
            "transitions": [
                {"type": "ItemMoved", "sku": "s1", "from": "x", "count": None},
                {"type": "Counted", "sku": None, "from": None, "count": 4},
            ],
            "source": plain(SOURCE),
            "ts_ms": 17,
        },
    )


def test_a_change_may_have_no_transitions(world: World) -> None:
    value = world.encoder.encode("top_shelf/a/b", SHELF)
    change = Change("top_shelf", "a/b", "create", None, SHELF)
    announced = world.encoder.change(change, before=None, after=value, source=SOURCE, ts_ms=17)
    assert world.data(announced.value)[1]["transitions"] == []


def test_a_transition_of_another_shape_is_refused(world: World) -> None:
    change = Change("top_shelf", "a/b", "delete", SHELF, None, (Owner("ann", 5),))
    with pytest.raises(SchemaInvalid, match="since_ms"):
        world.encoder.change(change, before=b"", after=None, source=SOURCE, ts_ms=17)


@given(event_id=TEXTS, offset=st.integers(0, 2**63 - 1), code=TEXTS, message=TEXTS)
def test_a_rejection_is_announced(world: World, event_id: str, offset: int, code: str, message: str) -> None:
    cause = Cause("in", 2, offset, event_id, "ShelfOpened")
    announced = world.encoder.rejection(EventRejection(cause, code, message), source=SOURCE, ts_ms=17)
    assert announced.key == f"rejected/{event_id}"
    assert announced.type == "processor.changes.EventRejected"
    assert world.data(announced.value) == (
        announced.type,
        {
            "event_id": event_id,
            "event_type": "ShelfOpened",
            "code": code,
            "message": message,
            "topic": "in",
            "partition": 2,
            "offset": offset,
            "source": plain(SOURCE),
            "ts_ms": 17,
        },
    )


def test_the_message_of_a_rejection_is_cut(world: World) -> None:
    rejection = EventRejection(Cause("in", 2, 5, "id", "ShelfOpened"), "full", "é" * 2000)
    announced = world.encoder.rejection(rejection, source=SOURCE, ts_ms=17)
    assert world.data(announced.value)[1]["message"] == "é" * 512


@given(LONGS, st.lists(st.builds(Range, TEXTS, LONGS, LONGS, LONGS, LONGS), max_size=3), st.booleans())
def test_a_commit_record_is_written(world: World, number: int, ranges: list[Range], guard: bool) -> None:  # noqa: FBT001 - drawn
    outcomes = (OutcomeRun("applied", 3), OutcomeRun("rejected", 1))
    record = CommitRecord(
        *(number, 7, 2, "north", "batch", 98765, 17, 1, tuple(ranges), outcomes),
        *(3, 1, 0, 1230, 4, 2, guard, bytes(range(16)), bytes(16)),
    )
    name, data = world.data(world.encoder.commit(record))
    fields = {field: getattr(record, field) for field in CommitRecord.__struct_fields__}
    renamed = [
        {"topic": part.topic, "partition": part.partition, "from": part.start, "to": part.end, "count": part.count}
        for part in ranges
    ]
    assert name == "processor.commits.Commit"
    assert data == {**fields, "ranges": renamed, "outcomes": plain(outcomes)}


@pytest.mark.parametrize("value", [b"", b"\xc3\x01" + bytes(8), b"{}"])
def test_a_stored_value_that_cannot_be_read_refuses_the_shard_and_names_the_key(world: World, value: bytes) -> None:
    with pytest.raises(ShardRefused, match="top_shelf/a/b"):
        world.encoder.decode("top_shelf/a/b", value)


def test_a_damaged_stored_value_refuses_the_shard(world: World) -> None:
    value = world.encoder.encode("top_shelf/a/b", SHELF)
    with pytest.raises(ShardRefused, match="ends 1 bytes early"):
        world.encoder.decode("top_shelf/a/b", value[:-1])


def test_an_entity_of_an_unknown_kind_refuses_the_shard(world: World) -> None:
    with pytest.raises(ShardRefused, match="drawer/a"):
        world.encoder.decode("drawer/a", world.encoder.encode("top_shelf/a/b", SHELF))


def test_an_entity_in_the_change_that_differs_from_the_stored_one_is_found_at_start(tmp_path: Path) -> None:
    inner = current_entity()
    inner["fields"][2]["type"] = ["null", "int"]
    catalogue = shop_catalogue(tmp_path, inner=inner)
    with pytest.raises(SchemaInvalid, match="differs"):
        AvroEncoder(catalogue, {"top_shelf": TopShelf}, namespace="shop")


def test_a_missing_schema_is_found_at_start(tmp_path: Path) -> None:
    catalogue = shop_catalogue(tmp_path)
    with pytest.raises(SchemaInvalid, match=r"shop\.state\.Drawer"):
        AvroEncoder(catalogue, {"drawer": TopShelf}, namespace="shop")


def test_a_struct_that_differs_is_found_at_start(tmp_path: Path) -> None:
    catalogue = shop_catalogue(tmp_path)
    with pytest.raises(SchemaInvalid, match="Owner"):
        AvroEncoder(catalogue, {"top_shelf": Owner}, namespace="shop")


def test_kinds_are_written_with_underscores_and_records_with_capitals() -> None:
    assert record_name("model") == "Model"
    assert record_name("top_shelf") == "TopShelf"

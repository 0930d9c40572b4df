"""A second, tiny state machine's entities and schemas: shelves with items, changed in every way an entity can be."""

import json
from pathlib import Path
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue

PROJECT = Path(__file__).resolve().parents[2]


class Tag(msgspec.Struct, frozen=True):
    name: str
    value: str


class Item(msgspec.Struct, frozen=True):
    sku: str
    count: int
    tags: tuple[Tag, ...]


class Owner(msgspec.Struct, frozen=True):
    name: str
    since_ms: int


class TopShelf(msgspec.Struct, frozen=True):
    name: str
    open: bool
    limit: int | None
    owner: Owner | None
    items: tuple[Item, ...]
    words: tuple[str, ...]
    ratio: float


class ItemMoved(msgspec.Struct, frozen=True, tag=True):
    sku: str
    from_: str = msgspec.field(name="from")


class ItemCounted(msgspec.Struct, frozen=True):
    type: str
    count: int | None = None


def field(name: str, type_: Any) -> dict[str, Any]:
    return {"name": name, "type": type_}


def record(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def entity() -> dict[str, Any]:
    tag = record("Tag", field("name", "string"), field("value", "string"))
    item = record("Item", field("sku", "string"), field("count", "long"), field("tags", array(tag)))
    owner = record("Owner", field("name", "string"), field("since_ms", "long"))
    fields = [
        *(field("name", "string"), field("open", "boolean"), field("limit", ["null", "long"])),
        *(field("owner", ["null", owner]), field("items", array(item)), field("words", array("string"))),
        field("ratio", "double"),
    ]
    return {**record("TopShelf", *fields), "namespace": "shop.state"}


def changed(inner: dict[str, Any]) -> dict[str, Any]:
    moved = [field("type", "string"), field("sku", ["null", "string"]), field("from", ["null", "string"])]
    transition = record("TopShelfTransition", *moved, field("count", ["null", "long"]))
    fields = [
        *(field("op", "string"), field("before", ["null", inner]), field("after", ["null", "shop.state.TopShelf"])),
        *(field("transitions", array(transition)), field("source", source()), field("ts_ms", "long")),
    ]
    return {**record("TopShelfChanged", *fields), "namespace": "shop.changes"}


def source() -> dict[str, Any]:
    rejected = json.loads((PROJECT / "schemas/changes/EventRejected.avsc").read_text())
    stated: dict[str, Any] = next(field["type"] for field in rejected["fields"] if field["name"] == "source")
    return stated


def older_entity() -> dict[str, Any]:
    """Lack `ratio` and `words`, which the current one gives defaults to; have a field that is gone."""
    older = entity()
    older["fields"] = [field("colour", "string"), *older["fields"][:-2]]
    return older


def current_entity() -> dict[str, Any]:
    current = entity()
    current["fields"][-2]["default"] = []
    current["fields"][-1]["default"] = 1.0
    return current


def write_schemas(directory: Path, *, inner: dict[str, Any] | None = None) -> Path:
    """Write the shop's schemas; `inner` is the entity inside the change, where it is to differ."""
    definitions = {
        "state/TopShelf.avsc": current_entity(),
        "released/state/TopShelf/1.avsc": older_entity(),
        "changes/TopShelfChanged.avsc": changed(inner or current_entity()),
    }
    for place, definition in definitions.items():
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(definition))
    return directory


def shop_catalogue(directory: Path, **differing: Any) -> Catalogue:
    return Catalogue.load(PROJECT / "schemas", write_schemas(directory, **differing))

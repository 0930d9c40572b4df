"""What a release left in the store is read by this one, and by one whose schemas have gone on."""

import copy
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from processor.avro.catalogue import Catalogue
from processor.avro.framing import single_object_prefix
from processor.avro.records import RecordCodec
from processor.avro.schema import Schema, parse_schema
from processor.cluster.entities import Server
from processor.cluster.machine import ENTITY_TYPES, ClusterMachine
from processor.engine.recovery import restore
from tests.golden.fold import digests
from tests.golden.make import story
from tests.golden.world import CATALOGUE, CURRENT, Golden, GoldenWorld, Line, Release

DIRECTORY = Path(__file__).parent
RELEASES = {path.parent.name: Golden.read(path.parent) for path in sorted(DIRECTORY.glob("*/store.json"))}
MADE_AGAIN = [golden for golden in RELEASES.values() if golden.head.reducer_version == ClusterMachine.version]
RULES_CHANGED = (
    "the rules or the bytes are others than in the release: raise ClusterMachine.version, and the project's version, "
    "then run: python -m tests.golden.make. Remove the directory first while its version is not released"
)


@pytest.fixture(params=RELEASES)
def golden(request: pytest.FixtureRequest) -> Golden:
    return RELEASES[request.param]


def restored(golden: Golden) -> GoldenWorld:
    """Put back what the release left: its keys in the store, and the events that it has consumed."""
    world = GoldenWorld(golden.dump)
    world.tell(golden.lines)
    return world


def test_this_release_has_left_something() -> None:
    assert version("processor") in RELEASES


def test_the_reducer_of_this_version_has_left_something() -> None:
    assert MADE_AGAIN, RULES_CHANGED


def test_what_is_kept_has_every_kind_of_entity_and_something_to_publish(golden: Golden) -> None:
    kinds = {key.split("/")[1] for key in golden.dump if key.startswith("state/")}
    assert kinds == set(ENTITY_TYPES)
    assert any(key.startswith("outbox/") for key in golden.dump)
    assert golden.head.digest == golden.digests[-1]


@pytest.mark.parametrize("golden", MADE_AGAIN, ids=lambda golden: str(golden.head.reducer_version))
def test_the_same_reducer_gives_the_digests_of_the_release_again(golden: Golden) -> None:
    assert tuple(digests(golden.lines, batch_events=1)) == golden.digests, RULES_CHANGED


def test_the_engine_gives_the_same_digests_as_the_fold() -> None:
    again = story()
    assert again.head.digest == again.digests[-1]


def test_the_state_of_a_release_is_taken_over(golden: Golden) -> None:
    world = restored(golden)
    before = world.snapshot()
    world.run_release()
    assert world.refusals == []
    commits = world.published("commits")
    assert commits[0]["seq"] == golden.head.seq
    upgraded = golden.head.reducer_version < ClusterMachine.version
    assert [commit["kind"] for commit in commits[1:]] == (["upgrade"] if upgraded else [])
    assert upgraded or restore(before, machine=CURRENT.machine, encoder=CURRENT.encoder).digest == golden.head.digest
    assert world.snapshot().entities == before.entities


class NewServer(Server, frozen=True):
    """A server of the release to come: it also says where it stands."""

    zone: str = "not the default of the schema"


class NewMachine(ClusterMachine):
    """The state machine of the release to come."""

    version = ClusterMachine.version + 1
    entity_types: Mapping[str, type] = MappingProxyType({**ENTITY_TYPES, "server": NewServer})


def with_zone(name: str, record: str) -> Schema:
    """Return a current schema whose record of this name has one more field, with a default."""
    definition: dict[str, Any] = copy.deepcopy(dict(CATALOGUE.require(name).definition))
    inner = next(found for found in records_of(definition) if found["name"] == record)
    inner["fields"].append({"name": "zone", "type": "string", "default": "unknown"})
    return parse_schema(definition)


def records_of(type_: Any) -> list[dict[str, Any]]:
    if isinstance(type_, list):
        return [found for branch in type_ for found in records_of(branch)]
    if not isinstance(type_, dict) or type_["type"] != "record":
        return []
    return [type_, *(found for field in type_["fields"] for found in records_of(field["type"]))]


def release_to_come() -> Release:
    stored = with_zone("processor.state.Server", "Server")
    changed = with_zone("processor.changes.ServerChanged", "Server")
    current = {**CATALOGUE.current, stored.name: stored, changed.name: changed}
    return Release(NewMachine(), Catalogue(current.values(), CATALOGUE))


NEWER = release_to_come()
ZONED = single_object_prefix(NEWER.catalogue.require("processor.state.Server"))


def entities(world: GoldenWorld, release: Release) -> dict[str, Any]:
    """Return key → entity as plain data, as the release reads what stands in the store."""
    values = world.snapshot().entities
    encoder = release.encoder
    return {key: msgspec.json.decode(msgspec.json.encode(encoder.decode(key, value))) for key, value in values}


def zoned(plain: dict[str, Any]) -> dict[str, Any]:
    """Return entities with what the release to come knows besides."""
    return {key: entity | ({"zone": "unknown"} if key.startswith("server/") else {}) for key, entity in plain.items()}


def draining(golden: Golden, world: GoldenWorld) -> tuple[str, Line]:
    """Return the key of a server and an event that changes it."""
    for key, entity in entities(world, CURRENT).items():
        for replica in entity["replicas"] if key.startswith("server/") else ():
            if not replica["draining"]:
                data = {"server": entity["name"], "replica": replica["index"]}
                at_ms = golden.lines[-1]["at_ms"] + 1
                return key, {"type": "ServerReplicaDraining", "at_ms": at_ms, "data": data}
    raise AssertionError("every server replica is draining")


def test_a_newer_release_upgrades_the_state_without_writing_it(golden: Golden) -> None:
    world = restored(golden)
    before = world.snapshot().entities
    world.run_release(NEWER)
    assert world.refusals == []
    (upgrade,) = world.published("commits", NEWER)[1:]
    assert (upgrade["kind"], upgrade["ranges"], upgrade["announcements"]) == ("upgrade", [], 0)
    assert upgrade["previous_digest"].hex() == golden.head.digest != upgrade["digest"].hex()
    assert upgrade["digest"].hex() == world.snapshot().head.digest  # type: ignore[union-attr]
    assert upgrade["reducer_version"] == NewMachine.version
    assert world.snapshot().entities == before
    assert entities(world, NEWER) == zoned(entities(world, CURRENT))


def test_entities_of_an_older_release_follow_one_by_one_as_they_change(golden: Golden) -> None:
    world = restored(golden)
    key, event = draining(golden, world)
    before = zoned(entities(world, CURRENT))
    world.run_release(NEWER)
    upgrade = world.published("commits", NEWER)[-1]
    for lines in ([event], []):  # the second start finds values of both schemas
        world.tell(lines)
        world.run_release(NEWER)
    assert world.refusals == []
    last = world.published("commits", NEWER)[-1]
    assert (last["kind"], last["previous_digest"]) == ("batch", upgrade["digest"])
    stored = dict(world.snapshot().entities)
    servers = {name for name in stored if name.startswith("server/")}
    assert {name for name in servers if stored[name].startswith(ZONED)} == {key} < servers
    assert announced(world, key) == (before[key], entities(world, NEWER)[key])
    decoded = RecordCodec(NEWER.catalogue).decode_record(stored[key])[1]
    assert decoded == entities(world, NEWER)[key]


def announced(world: GoldenWorld, key: str) -> tuple[Any, Any]:
    """Return before and after of the last change that was announced of an entity."""
    records = [record for record in world.output("changes") if record.key == key.encode()]
    change = RecordCodec(NEWER.catalogue).decode_record(records[-1].value or b"")[1]
    return change["before"], change["after"]

"""A state beside the live one, in real etcd."""

from collections.abc import Iterator

import pytest

from processor.engine.errors import InvalidRequest
from processor.etcd.limits import Limits
from processor.etcd.shadow import Shadow
from tests.contracts.store_worlds import EtcdWorld, head
from tests.etcd.shard_steps import noise
from tests.waiting import wait_until

pytestmark = pytest.mark.services

VALUES = [(f"model/{number:03}", noise(number, 100)) for number in range(300)]


@pytest.fixture
def shadow(world: EtcdWorld) -> Shadow:
    return _shadow(world, "fix")


def _shadow(world: EtcdWorld, name: str) -> Shadow:
    prefix, _, app = world.root.rpartition("/")
    return Shadow(world.client, prefix, app, name, 0, limits=Limits(request_bytes_max=16_384))


def _keys(world: EtcdWorld) -> list[bytes]:
    root = world.root.encode() + b"/"
    return [kv.key for kv in world.client.pages(root, root[:-1] + b"0", revision=0, page_keys=1_000)]


def test_what_was_written_is_read(shadow: Shadow) -> None:
    assert shadow.read() is None
    shadow.write(head(7, 1), VALUES)
    snapshot = shadow.read()
    assert snapshot is not None
    assert (snapshot.head, snapshot.entities) == (head(7, 1), tuple(VALUES))


def test_it_is_written_anew_as_a_whole(shadow: Shadow) -> None:
    shadow.write(head(7, 1), VALUES)
    shadow.write(head(8, 1), VALUES[:2])
    snapshot = shadow.read()
    assert snapshot is not None
    assert snapshot.entities == tuple(VALUES[:2])


def test_removed_it_leaves_nothing_behind_and_others_alone(world: EtcdWorld, shadow: Shadow) -> None:
    other = _shadow(world, "fix-2")
    other.write(head(1, 1), VALUES[:1])
    before = _keys(world)
    shadow.write(head(7, 1), VALUES)
    assert shadow.remove() == len(VALUES) + 1
    assert _keys(world) == before
    assert shadow.remove() == 0
    assert other.read() is not None


def _interrupted() -> Iterator[tuple[str, bytes]]:
    yield from VALUES[:200]
    raise KeyboardInterrupt


def test_interrupted_it_leaves_nothing_behind(world: EtcdWorld, shadow: Shadow) -> None:
    with pytest.raises(KeyboardInterrupt):
        shadow.write(head(7, 1), _interrupted())
    assert _keys(world) == []


def test_a_fragment_is_no_state_and_goes_with_its_lease(world: EtcdWorld, shadow: Shadow) -> None:
    lease_id = world.client.grant_lease(2)
    shadow._client = _Deaf(world, lease_id)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        shadow.write(head(7, 1), _interrupted())
    assert _keys(world)
    assert _shadow(world, "fix").read() is None
    wait_until(lambda: not _keys(world), what="the lease has ended", timeout_s=30)


def test_a_fragment_is_removed_by_name(world: EtcdWorld, shadow: Shadow) -> None:
    shadow._client = _Deaf(world, world.client.grant_lease(600))  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        shadow.write(head(7, 1), _interrupted())
    assert _shadow(world, "fix").remove() > 0
    assert _keys(world) == []


def test_two_that_write_the_same_one_are_told(world: EtcdWorld, shadow: Shadow) -> None:
    def values() -> Iterator[tuple[str, bytes]]:
        yield from VALUES[:200]
        _shadow(world, "fix").write(head(9, 1), VALUES[:1])
        yield from VALUES[200:]

    with pytest.raises(InvalidRequest, match="by somebody else meanwhile"):
        shadow.write(head(7, 1), values())
    snapshot = shadow.read()
    assert snapshot is not None
    assert (snapshot.head, len(snapshot.entities)) == (head(9, 1), 1)


class _Deaf:
    """A client whose process is killed: it has a lease, and never gets to give it back."""

    def __init__(self, world: EtcdWorld, lease_id: int) -> None:
        self._client = world.client
        self._lease_id = lease_id
        self.read = world.client.read
        self.transact = world.client.transact

    def grant_lease(self, _: int) -> int:
        return self._lease_id

    def revoke_lease(self, _: int) -> None:
        return

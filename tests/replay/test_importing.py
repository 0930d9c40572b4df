"""A snapshot put into a store that knows nothing of the shard."""

import msgspec
import pytest

from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.memory.cluster import MemoryCluster
from processor.memory.cluster import Shard as Keys
from processor.replay.importing import Import, Logged, import_snapshot, plan_import
from processor.replay.replaying import replay_to
from processor.replay.snapshots import Snapshot, snapshot_of
from processor.replay.verifying import Verifier
from tests.replay.shard import Shard, lived, load


@pytest.fixture
def shard() -> Shard:
    return lived()


def _folded(shard: Shard, seq: int | None = None) -> Snapshot:
    replayed = replay_to(shard.past().sources, shard.build, seq)
    return snapshot_of(replayed, shard.build, app="app", shard=0, cluster="cluster", now_ms=1)


def _lose_the_store(shard: Shard) -> None:
    shard.world.cluster = MemoryCluster()


def _import(shard: Shard, snapshot: Snapshot, *, logged: Logged | None) -> Import:
    planned = plan_import(shard.parts(), snapshot, logged=logged)
    import_snapshot(shard.parts(), snapshot, planned, by="me", file="then.snapshot")
    return planned


def test_a_lost_store_goes_on_as_if_nothing_had_happened(shard: Shard) -> None:
    snapshot, before = _folded(shard), shard.head
    entities = dict(shard.store.load().entities)
    _lose_the_store(shard)
    planned = _import(shard, snapshot, logged=Logged(before.seq, 0))
    assert (planned.warnings, planned.entities) == ((), len(snapshot.entities))
    for part in ("seq", "digest", "positions", "topics", "announcements", "committed_ms"):
        assert getattr(shard.head, part) == getattr(before, part), part
    assert dict(shard.store.load().entities) == entities
    load(shard, "afterwards")
    shard.process()
    verifier = Verifier()
    replayed = replay_to(shard.past().sources, shard.build, watch=verifier)
    assert (verifier.findings, replayed.head.digest) == ([], shard.head.digest)
    assert shard.head.seq > before.seq
    assert shard.world.numbers() == list(range(shard.head.announcements))


def test_the_audit_log_tells_who_imported_what(shard: Shard) -> None:
    snapshot = _folded(shard)
    _lose_the_store(shard)
    _import(shard, snapshot, logged=Logged(snapshot.head.seq, 0))
    (entry,) = shard.world.cluster.read(0, lambda keys, _: list(keys.audit))
    assert (entry.action, entry.by, entry.seq) == ("import", "me", snapshot.head.seq)
    assert entry.facts == {"file": "then.snapshot", "written_ms": 1, "digest": snapshot.head.digest}


def test_nothing_is_overwritten(shard: Shard) -> None:
    with pytest.raises(OwnershipLost, match=f"its head is at seq {shard.head.seq}; nothing is overwritten"):
        plan_import(shard.parts(), _folded(shard), logged=Logged(shard.head.seq, 0))


def test_entities_without_a_head_are_somebodys(shard: Shard) -> None:
    snapshot = _folded(shard)
    _lose_the_store(shard)

    def change(keys: Keys, revision: int) -> None:
        keys.put_entity("model/x", b"x", revision)

    shard.world.cluster.write(0, lambda _: True, change)
    with pytest.raises(ShardRefused, match="1 entities of shard 0 stand in the store without a head"):
        plan_import(shard.parts(), snapshot, logged=Logged(snapshot.head.seq, 0))


def test_a_snapshot_that_is_older_than_the_log_is_refused_with_the_way_out(shard: Shard) -> None:
    last = shard.head.seq
    snapshot = _folded(shard, last - 1)
    _lose_the_store(shard)
    with pytest.raises(InvalidRequest, match=rf"of seq {last - 1}, the commit log goes on to {last}.*--from-snapshot"):
        plan_import(shard.parts(), snapshot, logged=Logged(last, 0))


@pytest.mark.parametrize(("logged", "first"), [(None, 1), (Logged(2, 0), 3)])
def test_what_will_not_be_announced_is_told(shard: Shard, logged: Logged | None, first: int) -> None:
    snapshot = _folded(shard)
    _lose_the_store(shard)
    (warning,) = plan_import(shard.parts(), snapshot, logged=logged).warnings
    assert f"commits {first} to {snapshot.head.seq} will not be announced" in warning


def test_that_a_processor_will_refuse_the_inputs_is_told(shard: Shard) -> None:
    snapshot = _folded(shard)
    head = msgspec.structs.replace(snapshot.head, topics={"normal": "another"})
    _lose_the_store(shard)
    planned = plan_import(
        shard.parts(), msgspec.structs.replace(snapshot, head=head), logged=Logged(snapshot.head.seq, 0)
    )
    (warning,) = planned.warnings
    assert "topic normal was recreated" in warning


def test_that_revisions_begin_anew_is_told(shard: Shard) -> None:
    snapshot = _folded(shard)
    _lose_the_store(shard)
    (warning,) = plan_import(shard.parts(), snapshot, logged=Logged(snapshot.head.seq, 99)).warnings
    assert "the commit log at 99: epochs and revisions begin anew" in warning

"""The shard's part of the store in etcd."""

from typing import Literal

import msgspec

from processor.engine.failpoints import Failpoint, never
from processor.engine.limits import Capacity
from processor.engine.values import Attempts, Commit, HeadView, Snapshot, TrimRequest
from processor.etcd import requests
from processor.etcd.backlog import Backlog
from processor.etcd.builder import Plan, StoreState
from processor.etcd.client import EtcdClient, transact_repeatedly
from processor.etcd.inflight import EtcdInFlight, conflict_of
from processor.etcd.layout import ShardKeys, encode_attempts
from processor.etcd.limits import Limits
from processor.etcd.snapshot import read_shard
from processor.etcd.suspects import find_suspects
from processor.etcd.transaction import FIXED_OPERATIONS_MAX, RESERVED_SHARE, plan_commit, plan_trim

Materialise = Literal["auto", "eager"]

OVERFLOW_FACTOR = 6
"""A batch may change this many times as many entities as a transaction has operations; the surplus overflows."""
BATCH_BYTES_MAX = 512 * 1024
"""Before compression: announcements shrink to a quarter, and a transaction should have 128 KiB."""
ATTEMPT_SENDS_MAX = 3


class EtcdStore:
    """One shard in etcd. A commit builds on the last `load` or the last Committed; one is in flight at a time.

    The backlog is kept in memory between commits; only the answer Committed changes it, and `load` rebuilds it.
    After a Conflict `load` comes first.
    """

    def __init__(
        self,
        client: EtcdClient,
        keys: ShardKeys,
        *,
        limits: Limits | None = None,
        materialise: Materialise = "auto",
        failpoint: Failpoint = never,
    ) -> None:
        self._client = client
        self._keys = keys
        self._limits = limits or Limits()
        self._materialise = materialise
        self._failpoint = failpoint
        self._revision: int | None = None
        self._state = StoreState(keys, self._limits, Backlog(), trimmed_through=0)

    def capacity(self) -> Capacity:
        """Return the largest commit to build; smaller while entity keys are behind, so that they catch up."""
        return Capacity(self._entities_max(), BATCH_BYTES_MAX, self._limits.value_bytes_max)

    def _entities_max(self) -> int:
        operations = max(1, self._limits.operations_max - FIXED_OPERATIONS_MAX)
        if self._limits.exceeded_by_backlog(self._state.backlog):
            return max(1, operations // 2)
        if self._materialise == "auto":
            return self._limits.operations_max * OVERFLOW_FACTOR
        behind = self._state.backlog.commits > 0
        return max(1, operations - operations // RESERVED_SHARE) if behind else operations

    def load(self) -> Snapshot:
        """Read everything at one revision, linearizable. Raises StoreUnavailable, ShardRefused (newer layout)."""
        image = read_shard(self._client, self._keys)
        head = image.snapshot.head
        self._revision = image.snapshot.head_revision
        self._state = StoreState(
            self._keys,
            self._limits,
            image.backlog,
            head.announced_seq if head else 0,
            orphaned_parts=image.orphaned_parts,
        )
        return image.snapshot

    def read_head(self) -> HeadView:
        """Read head and owner, linearizable, at one revision. Raises StoreUnavailable, ShardRefused (newer layout)."""
        operations = (requests.get(self._keys.head), requests.get(self._keys.owner))
        return conflict_of(self._client.read(requests.transaction((), operations)).responses)

    def send(self, commit: Commit) -> EtcdInFlight:
        """Send a commit of any size. Raises InvalidRequest for an entity that fits into no transaction."""
        self._check_revision(commit.expected_revision)
        return self._begin(plan_commit(commit, self._state))

    def trim(self, trimming: TrimRequest) -> EtcdInFlight | None:
        """Send a transaction that trims and materialises; None when there is nothing to do."""
        self._check_revision(trimming.expected_revision)
        plan = plan_trim(trimming, self._state)
        if plan is None:
            return None
        self._failpoint("before_trim")
        return self._begin(plan)

    def suspects(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the keys of entities that were changed without the head, ascending, as far as history reaches.

        Entities written with the last change of the head are included: a manual repair is such a change.
        Raises StoreUnavailable.
        """
        return find_suspects(self._client, self._keys, snapshot)

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        """Write the crash counter under the two compares; return False on a conflict. Raises StoreUnavailable."""
        operation = requests.put(self._keys.attempts, encode_attempts(attempts))
        request = requests.guarded(self._keys, (operation,), expected_revision=expected_revision, epoch=epoch)
        return bool(transact_repeatedly(self._client, request, sends_max=ATTEMPT_SENDS_MAX).succeeded)

    def _begin(self, plan: Plan) -> EtcdInFlight:
        return EtcdInFlight(
            self._client,
            plan,
            on_committed=self._on_committed,
            on_refused=self._on_refused,
            failpoint=self._failpoint,
        )

    def _check_revision(self, expected_revision: int) -> None:
        """Refuse a commit that builds on another revision than the backlog in memory belongs to."""
        if expected_revision != self._revision:
            raise RuntimeError(
                f"built on revision {expected_revision}, but the store knows {self._revision}: load first"
            )

    def _on_committed(self, plan: Plan, revision: int) -> None:
        self._state.backlog.apply(plan.effect)
        self._state = msgspec.structs.replace(
            self._state,
            trimmed_through=plan.head.announced_seq,
            orphaned_parts=self._state.orphaned_parts and not plan.deletes_orphaned_parts,
        )
        self._revision = revision

    def _on_refused(self) -> None:
        self._revision = None

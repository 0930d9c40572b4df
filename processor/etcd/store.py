"""The shard's part of the store in etcd."""

from typing import Literal

import msgspec

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.failpoints import Failpoint, never
from processor.engine.limits import Capacity
from processor.engine.values import Attempts, Commit, HeadView, Snapshot, TrimRequest
from processor.etcd import requests
from processor.etcd.backlog import Backlog
from processor.etcd.client import EtcdClient
from processor.etcd.inflight import EtcdInFlight, refused
from processor.etcd.layout import ShardKeys, encode_attempts
from processor.etcd.snapshot import read_shard
from processor.etcd.suspects import find_suspects
from processor.etcd.transaction import (
    FIXED_OPERATIONS_MAX,
    RESERVED_SHARE,
    Ground,
    Limits,
    Plan,
    plan_commit,
    plan_trim,
)

Materialise = Literal["auto", "eager"]

OVERFLOW_FACTOR = 6
"""How many times the operations a batch may change entities when what is too much overflows."""
BATCH_BYTES_MAX = 512 * 1024
"""Before compression; announcements shrink to a quarter, and 128 KiB are what a transaction should have."""
ATTEMPT_SENDS_MAX = 3


class EtcdStore:
    """One shard in etcd. Commits build upon the last `load` or the last Committed, one under way at a time.

    What the commits have left for later lives in memory between them; only an answer "committed" changes it, and
    `load` builds it anew. After a refusal a `load` has to come first.
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
        self._ground = Ground(keys, self._limits, Backlog(), trimmed_through=0)

    def capacity(self) -> Capacity:
        """Return what one commit should carry at most; less while entity keys are behind, so that they catch up."""
        return Capacity(self._entities_max(), BATCH_BYTES_MAX, self._limits.value_bytes_max)

    def _entities_max(self) -> int:
        operations = max(1, self._limits.operations_max - FIXED_OPERATIONS_MAX)
        if self._limits.are_passed_by(self._ground.backlog):
            return max(1, operations // 2)
        if self._materialise == "auto":
            return self._limits.operations_max * OVERFLOW_FACTOR
        behind = self._ground.backlog.commits > 0
        return max(1, operations - operations // RESERVED_SHARE) if behind else operations

    def load(self) -> Snapshot:
        """Read everything at one revision, linearizable. Raises StoreUnavailable, ShardRefused (newer layout)."""
        image = read_shard(self._client, self._keys)
        head = image.snapshot.head
        self._revision = image.snapshot.head_revision
        self._ground = Ground(
            self._keys, self._limits, image.backlog, head.announced_seq if head else 0, leftovers=image.leftovers
        )
        return image.snapshot

    def read_head(self) -> HeadView:
        """Read head and owner, linearizable, at one revision. Raises StoreUnavailable, ShardRefused (newer layout)."""
        operations = (requests.get(self._keys.head), requests.get(self._keys.owner))
        return refused(self._client.read(requests.transaction((), operations)).responses)

    def send(self, commit: Commit) -> EtcdInFlight:
        """Begin a commit of any size. Raises InvalidRequest for an entity that fits into no transaction."""
        self._check_ground(commit.expected_revision)
        return self._begin(plan_commit(commit, self._ground))

    def trim(self, trimming: TrimRequest) -> EtcdInFlight | None:
        """Begin a transaction that trims and materialises; None when there is nothing to do."""
        self._check_ground(trimming.expected_revision)
        plan = plan_trim(trimming, self._ground)
        if plan is None:
            return None
        self._failpoint("before_trim")
        return self._begin(plan)

    def suspects(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the keys of entities that were changed without the head, as far as history tells, ascending.

        Those written with the head's last change are among them: a repair by hand is such a change.
        Raises StoreUnavailable.
        """
        return find_suspects(self._client, self._keys, snapshot)

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        """Put the crash counter under the two compares. False: refused. Raises StoreUnavailable."""
        operation = requests.put(self._keys.attempts, encode_attempts(attempts))
        request = requests.guarded(self._keys, (operation,), expected_revision=expected_revision, epoch=epoch)
        for _ in range(ATTEMPT_SENDS_MAX):
            try:
                return bool(self._client.transact(request).result().succeeded)
            except OutcomeUnknown as error:
                unknown = error
        raise StoreUnavailable(str(unknown)) from unknown

    def _begin(self, plan: Plan) -> EtcdInFlight:
        return EtcdInFlight(
            self._client,
            plan,
            on_committed=self._on_committed,
            on_refused=self._on_refused,
            failpoint=self._failpoint,
        )

    def _check_ground(self, expected_revision: int) -> None:
        """Guard against a transaction planned on other deltas than the ones its head compare stands for."""
        if expected_revision != self._revision:
            raise RuntimeError(
                f"built on revision {expected_revision}, but the store knows {self._revision}: load first"
            )

    def _on_committed(self, plan: Plan, revision: int) -> None:
        self._ground.backlog.apply(plan.effect)
        self._ground = msgspec.structs.replace(
            self._ground, trimmed_through=plan.head.announced_seq, leftovers=self._ground.leftovers and not plan.sweeps
        )
        self._revision = revision

    def _on_refused(self) -> None:
        self._revision = None

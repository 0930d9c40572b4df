"""A commit or trimming under way: one request, or the parts of a staged commit and its last one."""

from collections.abc import Callable, Sequence
from typing import Any

from processor.engine.failpoints import Failpoint, never
from processor.engine.values import Committed, Conflict, Head
from processor.etcd.client import EtcdClient, PendingTransaction
from processor.etcd.layout import decode_head
from processor.etcd.transaction import Plan

OnCommitted = Callable[[Plan, int], None]
OnRefused = Callable[[], None]


class EtcdInFlight:
    """Sends the steps of a plan one after the other, each after the former's success.

    A refusal whose head carries our commit_id under our epoch is a success: an earlier copy of the request won, and
    the revision is that of the head in the reply. `on_committed` and `on_refused` are told once, inside `result`.
    """

    def __init__(
        self,
        client: EtcdClient,
        plan: Plan,
        *,
        on_committed: OnCommitted,
        on_refused: OnRefused,
        failpoint: Failpoint = never,
    ) -> None:
        self._client = client
        self._plan = plan
        self._on_committed = on_committed
        self._on_refused = on_refused
        self._failpoint = failpoint
        self._step = 0
        self._answer: Committed | Conflict | None = None
        self._pending = self._begin()

    def result(self) -> Committed | Conflict:
        """Wait for the answer. Raises OutcomeUnknown (only `again` may follow), InvalidRequest."""
        while self._answer is None:
            response = self._pending.result()
            if not response.succeeded:
                self._answer = self._settle_refusal(refused(response.responses))
            elif self._step + 1 < len(self._plan.steps):
                self._failpoint("after_part")
                self._step += 1
                self._pending = self._begin()
            else:
                self._answer = self._committed(response.header.revision)
        return self._answer

    def again(self) -> None:
        """Send the identical request once more; of a staged commit, the one that got no answer."""
        if self._answer is None:
            self._pending = self._begin()

    def _begin(self) -> PendingTransaction:
        return self._client.transact(self._plan.steps[self._step])

    def _settle_refusal(self, refusal: Conflict) -> Committed | Conflict:
        ours = self._plan.head
        stands = refusal.head
        if stands and stands.commit_id == ours.commit_id and refusal.owner_epoch == self._plan.epoch:
            return self._committed(refusal.head_revision)
        self._on_refused()
        return refusal

    def _committed(self, revision: int) -> Committed:
        self._on_committed(self._plan, revision)
        return Committed(revision)


def refused(responses: Sequence[Any]) -> Conflict:
    """Return what stands there, from the answers to get head, get owner. Raises ShardRefused for a head of no sense."""
    heads, owners = (response.response_range.kvs for response in responses)
    head: Head | None = decode_head(heads[0].value) if heads else None
    return Conflict(head, heads[0].mod_revision if heads else 0, owners[0].create_revision if owners else 0)

"""A commit or a trim in flight: one request, or the parts of a staged commit followed by its last request.

When no answer arrives, nobody knows whether etcd applied the request. So the *identical bytes* are sent again until
there is an answer; a request that was built anew could be applied beside its earlier copy. An answer to any copy tells
the outcome of all of them, because every copy stands under the same compares and the winner changes the head:

* succeeded: this copy won; the earlier ones were not applied and never will be;
* failed, and the head carries our commit_id under our epoch: an earlier copy won. That is a success, at the revision
  of the head in the reply;
* failed otherwise: no copy was applied, another writer came first, and none can be applied later.

`engine.committing` decides when to send again and for how long; the store updates its backlog in `on_committed`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from processor.engine.failpoints import Failpoint, never
from processor.engine.values import Committed, Conflict, Head
from processor.etcd.builder import Plan
from processor.etcd.client import EtcdClient, PendingTransaction
from processor.etcd.layout import decode_head

OnCommitted = Callable[[Plan, int], None]
OnRefused = Callable[[], None]


class EtcdInFlight:
    """Sends the steps of a plan one after the other, each once its predecessor succeeded.

    Either `on_committed` or `on_refused` is called, once, inside `result`.
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
                self._answer = self._settle_refusal(conflict_of(response.responses))
            elif self._step + 1 < len(self._plan.steps):
                self._failpoint("after_part")
                self._step += 1
                self._pending = self._begin()
            else:
                self._answer = self._committed(response.header.revision)
        return self._answer

    def again(self) -> None:
        """Send the identical request again; of a staged commit, the one without an answer."""
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


def conflict_of(responses: Sequence[Any]) -> Conflict:
    """Return the head and owner found, from the responses to get head and get owner. Raises ShardRefused."""
    heads, owners = (response.response_range.kvs for response in responses)
    head: Head | None = decode_head(heads[0].value) if heads else None
    return Conflict(head, heads[0].mod_revision if heads else 0, owners[0].create_revision if owners else 0)

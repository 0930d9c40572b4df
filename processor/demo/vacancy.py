"""Waits until no other process owns the shard that a play on real servers uses."""

import threading
from collections.abc import Callable
from time import monotonic

from processor.admin.shards import shard_views
from processor.assembly.connections import store_client
from processor.configuration.settings import Settings
from processor.engine.errors import OwnershipLost

LOOK_INTERVAL_S = 0.2
LEASE_MARGIN_S = 3.0
"""etcd revokes an expired lease a moment after its expiry."""


def await_vacancy(settings: Settings, ending: threading.Event, note: Callable[[str], None]) -> None:
    """Return once nobody owns the first shard, or `ending` is set; wait as long as the lease of a killed owner lasts.

    Raises OwnershipLost if it stays owned, ShardRefused, StoreUnavailable.
    """
    wait_s = settings.shards.lease_ttl_s + LEASE_MARGIN_S
    deadline_s, noted = monotonic() + wait_s, False
    with store_client(settings) as client:
        while not ending.is_set():
            view = shard_views(client, settings)[0]
            owner = view.owner
            if owner is None:
                return
            who = f"shard 0 ({view.cluster}) is owned by {owner.instance} (process {owner.pid} on {owner.host})"
            if monotonic() >= deadline_s:
                raise OwnershipLost(
                    f"{who}, which is running; the demo needs a processor of its own. Stop that one, or watch it: "
                    "processor status, processor events tail changes. To run both, set PROCESSOR_APP and "
                    "PROCESSOR_TOPICS_FILE of the demo to other names"
                )
            if not noted:
                note(f"{who}: waiting {wait_s:.0f} s, in case it was killed")
                noted = True
            ending.wait(LOOK_INTERVAL_S)

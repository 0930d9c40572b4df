"""The audit log of a shard, read back: what commands did to it."""

from processor.configuration.settings import Settings
from processor.engine.values import AuditEntry
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys, decode_audit, end_of

PAGE_KEYS = 1000


def audit_entries(client: EtcdClient, settings: Settings, shard: int) -> list[AuditEntry]:
    """Return the entries, ascending in time. Raises StoreUnavailable, ShardRefused (an entry that is none)."""
    folder = ShardKeys(settings.etcd.prefix, settings.app, shard).audit
    found = client.pages(folder, end_of(folder), revision=0, page_keys=PAGE_KEYS)
    return [decode_audit(item.value) for item in found]

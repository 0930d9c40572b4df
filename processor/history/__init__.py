"""Any past state of a shard, and why it became so."""

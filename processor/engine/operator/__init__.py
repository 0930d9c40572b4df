"""What an operator does to a shard: each command one guarded transaction under an epoch of its own."""

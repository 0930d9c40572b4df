"""What an operator does to a shard."""

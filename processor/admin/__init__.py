"""What an operator does to shards that no processor owns, and what can be seen of them from outside."""

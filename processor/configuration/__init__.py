"""Settings and topics: what they are, and reading them."""

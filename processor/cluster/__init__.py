"""The state generator: a pure function from a cluster state and an event to the next cluster state."""

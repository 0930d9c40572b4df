"""Control-plane state processor: events in, one guarded transaction a batch, differences out, exactly once."""

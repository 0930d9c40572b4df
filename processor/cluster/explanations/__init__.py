"""Why entities are as they are: one module a kind, each a pure function of the state."""

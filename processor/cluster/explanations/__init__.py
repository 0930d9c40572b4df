"""Explanations of entities, one module per kind; each is a pure function of the state."""

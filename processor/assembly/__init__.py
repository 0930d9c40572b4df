"""From configuration to wired parts: the only package that knows every adapter."""

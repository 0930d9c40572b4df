"""What the process tells over HTTP: probes, metrics and a read-only JSON API."""

"""The ports in memory: for tests, simulation and embedded mode. The contract suites hold them to what the real adapters do."""

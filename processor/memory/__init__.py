"""The ports in memory, for tests, simulation and embedded mode; the contract suites hold them to the real adapters."""

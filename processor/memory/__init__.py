"""The ports in memory: for tests, simulation and embedded mode, held by the contract suites to what the real do."""

"""FSM Orchestrator: batches, lanes, guarded commits and announcements, for any state machine.

It knows neither the domain nor Kafka nor etcd: everything outside comes in through `ports`.
"""

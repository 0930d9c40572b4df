"""Kafka, the only package that imports confluent_kafka: inputs, outputs, tails, topics and the embedded broker.

Everything is handed in; nothing here knows settings, Avro or the store.
"""

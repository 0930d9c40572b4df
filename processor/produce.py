"""For programs that send events: `EventProducer` encodes, addresses and delivers them."""

from processor.kafka.connection import KafkaConnection
from processor.kafka.produce import Delivery, Encode, EventProducer

__all__ = ["Delivery", "Encode", "EventProducer", "KafkaConnection"]

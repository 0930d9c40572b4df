"""For programs that act on announcements: `AnnouncementReader` follows them, each once, in order, gaps named."""

from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import AnnouncementReader, From, Received

__all__ = ["AnnouncementReader", "From", "KafkaConnection", "Received"]

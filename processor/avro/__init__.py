"""Avro at the rim: framings, the catalogue of schemas, strict readers and canonical writers made from the schemas."""

"""Kafka: where messages come from, where orders are published, where dead letters are kept."""

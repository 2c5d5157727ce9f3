"""Findings about Kafka for `orders doctor`."""

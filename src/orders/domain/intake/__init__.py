"""From a received message to a stored order or a dead letter."""

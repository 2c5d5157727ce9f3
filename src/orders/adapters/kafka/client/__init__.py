"""The Kafka client: settings, connections, topics, and one producer for all that is sent."""

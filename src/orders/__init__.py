"""Orders: from a Kafka topic, checked, into PostgreSQL, hot ones in Redis, out over HTTP."""

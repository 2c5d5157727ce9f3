"""What an inspection of Kafka finds."""

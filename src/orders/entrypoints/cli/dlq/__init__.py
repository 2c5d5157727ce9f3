"""The command `orders dlq`: inspect, replay and delete dead letters."""

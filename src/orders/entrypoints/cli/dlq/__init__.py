"""The command `orders dlq`: inspect and replay dead letters."""

"""`orders dlq`: look at dead letters, and send them again."""

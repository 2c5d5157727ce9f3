"""Orders in files: JSON lines, JSON arrays and CSV, plain or compressed."""

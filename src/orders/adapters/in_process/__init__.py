"""What one process keeps by itself, in front of a cache that all of them share."""

"""Every port in memory: for unit tests, and for `orders api --memory`."""

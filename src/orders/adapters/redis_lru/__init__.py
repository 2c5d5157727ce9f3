"""Caches orders in Redis or Valkey, or in a cluster of either."""

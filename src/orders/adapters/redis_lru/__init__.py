"""Caches orders in Redis or Valkey, in a cluster of either, or in what their sentinels monitor."""

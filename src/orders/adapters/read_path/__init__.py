"""Reads single orders: local cache, batch loader, circuit breaker before the shared cache."""

"""How a single order is read: local cache, batch loader, shared cache behind a breaker, store.

Each is asked once.
"""

"""The domain: orders, intake, dead letters, use cases, and ports.

It uses the standard library and msgspec only, and does no I/O.
"""

"""Decorators that say in the log what passes through a port."""

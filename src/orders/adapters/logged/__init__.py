"""Decorators of ports that log."""

"""Decorators of ports that measure."""

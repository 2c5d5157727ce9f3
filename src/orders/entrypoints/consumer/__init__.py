"""The consumer process."""

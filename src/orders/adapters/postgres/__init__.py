"""Stores orders in PostgreSQL 14 or newer."""

"""Runs the whole system on one machine, with its servers as child processes.

Each server (PostgreSQL, Valkey, Apache Kafka) is a class with ``start()``, ``stop()`` and an
address, made from a data folder and a port. ``orders dev`` runs all three with the API and the
consumer; the integration tests use single ones. The product's own processes import nothing of it.
"""

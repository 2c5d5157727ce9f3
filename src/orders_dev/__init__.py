"""The whole system on one machine: PostgreSQL, Valkey and Apache Kafka as child processes.

Each server is a class with ``start()``, ``stop()`` and an address, made from a data folder and a
port; ``orders dev`` runs all three with the API and the consumer, the integration tests take one
by one. Nothing here is imported by the product's own processes.
"""

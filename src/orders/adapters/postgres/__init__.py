"""Orders in PostgreSQL 14 or newer: the database, its schema, and the repository on it."""

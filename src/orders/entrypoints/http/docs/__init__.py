"""The documents about the API and the topics, and Swagger UI."""

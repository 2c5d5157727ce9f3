"""What the product stands beside: the same service as most people would write it.

aiokafka, pydantic, asyncpg and FastAPI, one transaction a message, cache-aside in Redis. It runs in
an environment of its own (requirements/plain-service.lock), and nothing of it is in the product.
"""

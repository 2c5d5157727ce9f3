"""The servers that the session has chosen serve their clients."""

import uuid

import psycopg
import redis
from kafka import KafkaAdminClient


def test_postgres_serves_a_superuser(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert row.fetchone() == (True,)


def test_redis_keeps_a_value(redis_url: str) -> None:
    key = f"test-{uuid.uuid4()}"
    with redis.Redis.from_url(redis_url) as client:
        client.set(key, "value", ex=60)
        assert client.get(key) == b"value"


def test_kafka_lists_its_brokers(kafka_bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    try:
        assert len(admin.describe_cluster()["brokers"]) == 1
    finally:
        admin.close()

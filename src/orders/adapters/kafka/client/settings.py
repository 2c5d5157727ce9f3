"""The settings of the Kafka adapters, and the client options that follow from them."""

import re
import socket
from contextlib import AbstractContextManager, closing
from typing import Any

from msgspec import Struct

from orders.adapters.kafka.client.internals import BoundedAdmin, ReportingClient
from orders.adapters.kafka.client.tokens import TokenProvider


class KafkaSettings(Struct, frozen=True, kw_only=True):
    """Addresses, security and names: the ``ORDERS_KAFKA_*`` settings.

    By ``client_id`` the brokers tell processes apart in their logs, quotas and metrics.
    ``bootstrap`` is a comma-separated list of host:port. ``partitions`` and ``replication`` are
    those of topics that are created. With an ``instance_id`` the consumer is a static member of its
    group: it keeps its partitions across a restart, and others take over only after
    ``session_timeout``, in seconds.
    """

    client_id: str
    bootstrap: str
    topic: str
    dlq_topic: str
    dlq_retention: str
    group: str
    partitions: int
    replication: int
    instance_id: str | None
    session_timeout: int
    security_protocol: str
    sasl_mechanism: str | None
    sasl_username: str | None
    sasl_password: str | None
    token_file: str | None
    token_command: str | None
    ssl_cafile: str | None
    ssl_certificate: str | None
    ssl_key: str | None
    ssl_key_password: str | None

    @property
    def dlq_retention_ms(self) -> int:
        """``dlq_retention`` in Kafka's form: -1 is forever."""
        if self.dlq_retention == "forever":
            return -1
        hours = int(self.dlq_retention[:-1]) * (24 if self.dlq_retention.endswith("d") else 1)
        return hours * 3_600_000

    @property
    def replays_topic(self) -> str:
        """The topic that records replayed dead letters; also the group of who replays them."""
        return f"{self.dlq_topic}.replays"

    def __repr__(self) -> str:
        """Show topic and group; neither addresses nor secrets."""
        return f"KafkaSettings(topic={self.topic!r}, group={self.group!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for tracebacks that show variables."""
        return [("topic", self.topic), ("group", self.group)]


def new_client_id(process: str) -> str:
    """``orders-PROCESS-HOST``, of the characters that brokers take in names of metrics."""
    return re.sub("[^a-zA-Z0-9._-]", "-", f"orders-{process}-{socket.gethostname()}")


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options that consumer, producer and admin client share.

    Metadata is refreshed every 30 s, so that new partitions are noticed soon. With a shorter
    back-off a broker that refuses a login is found to be silent instead.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [host.strip() for host in settings.bootstrap.split(",")],
        "client_id": settings.client_id,
        "kafka_client": ReportingClient,
        "metadata_max_age_ms": 30_000,
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 2_000,
        "retry_backoff_ms": 100,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options |= {
            "ssl_cafile": settings.ssl_cafile,
            "ssl_check_hostname": True,
            "ssl_certfile": settings.ssl_certificate,
            "ssl_keyfile": settings.ssl_key or settings.ssl_certificate,
            # Without a password OpenSSL would ask for one on the terminal.
            "ssl_password": settings.ssl_key_password or "",
        }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
            "sasl_oauth_token_provider": TokenProvider(settings.token_file, settings.token_command),
        }
    return options


def admin_client(
    settings: KafkaSettings, *, request_timeout_ms: int
) -> AbstractContextManager[BoundedAdmin]:
    """Return a client for administration, which is closed after the block."""
    options = client_options(settings)
    return closing(BoundedAdmin(**options, request_timeout_ms=request_timeout_ms))

"""Deletes the oldest records of the topic of dead letters."""

import asyncio
from collections.abc import Mapping

from kafka.errors import KafkaError

from orders.adapters.kafka.client.failures import reason_of
from orders.adapters.kafka.client.settings import KafkaSettings, admin_client
from orders.domain.errors import Unavailable
from orders.domain.ports import DeadLetterDeletion

_TIMEOUT_MS = 10_000


class KafkaDeadLetterDeletion(DeadLetterDeletion):
    """Asks the leader of each partition."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def delete(self, ends: Mapping[int, int]) -> None:
        """See ``DeadLetterDeletion.delete``."""
        try:
            await asyncio.to_thread(self._delete, ends)
        except (KafkaError, OSError) as error:
            raise Unavailable(reason_of(error)) from error

    def _delete(self, ends: Mapping[int, int]) -> None:
        with admin_client(self._settings, request_timeout_ms=_TIMEOUT_MS) as admin:
            admin.delete_records(self._settings.dlq_topic, ends)

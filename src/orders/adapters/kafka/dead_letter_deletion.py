"""Deletes the oldest records of the topic of dead letters."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka.errors import KafkaError, for_code
from kafka.protocol.api import Request, Response
from kafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

from orders.adapters.kafka.client.failures import reason_of
from orders.adapters.kafka.client.internals import BoundedAdmin
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.domain.errors import Unavailable
from orders.domain.ports import DeadLetterDeletion

_TIMEOUT_MS = 10_000


class _DeleteRecordsResponse(Response):  # type: ignore[misc]
    """Version 0 of the message, which the client does not have."""

    API_KEY = 21
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("name", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition_index", Int32),
                        ("low_watermark", Int64),
                        ("error_code", Int16),
                    ),
                ),
            ),
        ),
    )


class _DeleteRecordsRequest(Request):  # type: ignore[misc]
    """Version 0, which brokers since 0.11 know."""

    API_KEY = 21
    API_VERSION = 0
    RESPONSE_TYPE = _DeleteRecordsResponse
    SCHEMA = Schema(
        (
            "topics",
            Array(
                ("name", String("utf-8")),
                ("partitions", Array(("partition_index", Int32), ("offset", Int64))),
            ),
        ),
        ("timeout_ms", Int32),
    )


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
        name = self._settings.dlq_topic
        options = client_options(self._settings)
        with closing(BoundedAdmin(**options, request_timeout_ms=_TIMEOUT_MS)) as admin:
            [topic] = admin.describe_topics([name])
            by_leader: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
            for partition in topic["partitions"]:
                if partition["partition"] in ends:
                    number = partition["partition"]
                    by_leader[partition["leader"]].append((number, ends[number]))
            for leader, offsets in by_leader.items():
                response = admin.ask(leader, _DeleteRecordsRequest([(name, offsets)], _TIMEOUT_MS))
                _raise_error(response)


def _raise_error(response: Any) -> None:
    for _, partitions in response.topics:
        for number, _, error_code in partitions:
            if error_code:
                raise for_code(error_code)(f"partition {number}")

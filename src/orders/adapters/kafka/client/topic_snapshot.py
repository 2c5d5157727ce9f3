"""Reads what a topic holds now, once, without a consumer group or commits."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.failures import reason_of
from orders.adapters.kafka.client.internals import ExtendedConsumer
from orders.adapters.kafka.client.settings import KafkaSettings, admin_client, client_options
from orders.adapters.kafka.wire.record_batches import Record, reader_of_poll
from orders.domain.errors import Unavailable

T = TypeVar("T")

RECORD_TIMEOUT = 10.0
"""Seconds without a record after which the brokers count as unreachable."""

_REQUEST_TIMEOUT_MS = int(RECORD_TIMEOUT * 1000)
_REFRESH_INTERVAL = 2.0
_POLL_MS = 500
_FETCH_BYTES = (
    512 * 1024
)  # compressed; dead letters are often similar and unpack to many times that

_OPTIONS: dict[str, Any] = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "fetch_max_bytes": _FETCH_BYTES,
    "max_partition_fetch_bytes": _FETCH_BYTES,
    "max_poll_records": 1 << 30,  # a whole fetch: a pause may drop the rest
    "request_timeout_ms": _REQUEST_TIMEOUT_MS,
    "sock_chunk_bytes": 256 * 1024,
}


class OffsetRange(NamedTuple):
    """The offsets that a partition holds: from ``start`` up to but excluding ``end``."""

    start: int
    end: int


async def offset_ranges(settings: KafkaSettings, topic: str) -> dict[int, OffsetRange]:
    """Each partition's offset range now; empty if the topic does not exist.

    Raises:
        Unavailable: no broker answers.
    """

    def ask() -> dict[int, OffsetRange]:
        with closing(_new_consumer(settings)) as consumer:
            return _offset_ranges(settings, consumer, topic)

    return await asyncio.to_thread(_map_errors, ask)


async def read_present(
    settings: KafkaSettings,
    topic: str,
    within: Mapping[int, OffsetRange] | None = None,
    *,
    may_be_missing: bool = False,
) -> AsyncGenerator[tuple[int, Record], None]:
    """Each message that the topic holds when reading begins, with its partition, oldest first.

    With ``within``, only those of these partitions and offsets.

    Raises:
        Unavailable: the brokers do not answer, or the topic is missing and may not be.
        UnreadableBatch: a batch cannot be decoded.
    """
    loop = asyncio.get_running_loop()
    # One thread: even if this coroutine is cancelled, the consumer is not closed while it polls.
    executor = ThreadPoolExecutor(1, thread_name_prefix="kafka-reading")
    pages = _pages(settings, topic, within, may_be_missing=may_be_missing)
    try:
        while page := await loop.run_in_executor(executor, _map_errors, lambda: next(pages, None)):
            for found in page:
                yield found
    finally:
        executor.submit(pages.close)
        executor.shutdown(wait=False)


def _pages(
    settings: KafkaSettings,
    topic: str,
    within: Mapping[int, OffsetRange] | None,
    *,
    may_be_missing: bool,
) -> Generator[list[tuple[int, Record]], None, None]:
    with closing(_new_consumer(settings)) as consumer:
        held_first = _offset_ranges(settings, consumer, topic)
        if not held_first and not may_be_missing:
            raise Unavailable(f"topic {topic} is missing")
        remaining = _to_read(held_first, held_first if within is None else within)
        consumer.assign([TopicPartition(topic, number) for number in remaining])
        for number, held in remaining.items():
            consumer.seek(TopicPartition(topic, number), held.start)
        last_record = last_refresh = time.monotonic()
        while remaining:
            fetched: dict[TopicPartition, list[Record]] = consumer.poll(_POLL_MS)
            now = time.monotonic()
            page = []
            for partition, records in fetched.items():
                number = partition.partition
                end = remaining[number].end
                page += [(number, r) for r in records if r.is_message and r.offset < end]
                if records and records[-1].offset >= end - 1:
                    del remaining[number]
                    consumer.pause(partition)
            if fetched:
                last_record = now
            elif now - last_refresh > _REFRESH_INTERVAL:
                last_refresh = now
                held_now = _offset_ranges(settings, consumer, topic)
                remaining = _still_held(topic, remaining, held_now)
            if remaining and now - last_record > RECORD_TIMEOUT:
                raise Unavailable("the brokers do not answer")
            if page:
                yield page


def _to_read(
    held: Mapping[int, OffsetRange], within: Mapping[int, OffsetRange]
) -> dict[int, OffsetRange]:
    both = {
        number: OffsetRange(
            max(wanted.start, held[number].start), min(wanted.end, held[number].end)
        )
        for number, wanted in within.items()
        if number in held
    }
    return {number: offsets for number, offsets in both.items() if offsets.start < offsets.end}


def _still_held(
    topic: str, remaining: Mapping[int, OffsetRange], held_now: Mapping[int, OffsetRange]
) -> dict[int, OffsetRange]:
    """What remains to be read without records that were deleted in the meantime."""
    if not remaining.keys() <= held_now.keys():
        raise Unavailable(f"topic {topic} was deleted while it was read")
    return {n: held for n, held in remaining.items() if held_now[n].start < held.end}


def _offset_ranges(
    settings: KafkaSettings, consumer: KafkaConsumer, topic: str
) -> dict[int, OffsetRange]:
    # Unlike requests of the consumer, this one makes no broker create a missing topic.
    with admin_client(settings, request_timeout_ms=_REQUEST_TIMEOUT_MS) as admin:
        described = admin.described_topic(topic)
    if described is None:
        return {}
    numbers = sorted(each["partition"] for each in described["partitions"])
    partitions = [TopicPartition(topic, number) for number in numbers]
    starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    return {p.partition: OffsetRange(starts[p], ends[p]) for p in partitions}


def _new_consumer(settings: KafkaSettings) -> KafkaConsumer:
    consumer = ExtendedConsumer(**(client_options(settings) | _OPTIONS))
    # As in the consumer of orders: the client's own reader fails on some valid records.
    consumer.read_with(reader_of_poll)
    return consumer


def _map_errors(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (KafkaError, OSError) as error:
        raise Unavailable(reason_of(error)) from error

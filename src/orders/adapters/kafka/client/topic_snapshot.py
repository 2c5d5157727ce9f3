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
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.wire.record_batches import Record, reader_of_poll
from orders.domain.errors import Unavailable

T = TypeVar("T")

RECORD_TIMEOUT = 10.0
"""Seconds without a record after which the brokers count as unreachable."""

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
    "request_timeout_ms": int(RECORD_TIMEOUT * 1000),
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
            return _offset_ranges(consumer, topic)

    return await asyncio.to_thread(_map_errors, ask)


async def read_present(
    settings: KafkaSettings, topic: str, since: Mapping[int, int] | None = None
) -> AsyncGenerator[tuple[int, Record], None]:
    """Each message that the topic holds when reading begins, with its partition, oldest first.

    ``since`` gives, per partition, the offset to start from.

    Raises:
        Unavailable: the brokers do not answer.
        UnreadableBatch: a batch cannot be decoded.
    """
    loop = asyncio.get_running_loop()
    # One thread: even if this coroutine is cancelled, the consumer is not closed while it polls.
    executor = ThreadPoolExecutor(1, thread_name_prefix="kafka-reading")
    pages = _pages(settings, topic, since or {})
    try:
        while page := await loop.run_in_executor(executor, _map_errors, lambda: next(pages, None)):
            for found in page:
                yield found
    finally:
        executor.submit(pages.close)
        executor.shutdown(wait=False)


def _pages(
    settings: KafkaSettings, topic: str, since: Mapping[int, int]
) -> Generator[list[tuple[int, Record]], None, None]:
    with closing(_new_consumer(settings)) as consumer:
        remaining = {
            number: held
            for number, held in _offset_ranges(consumer, topic).items()
            if max(held.start, since.get(number, 0)) < held.end
        }
        consumer.assign([TopicPartition(topic, number) for number in remaining])
        for number, held in remaining.items():
            consumer.seek(TopicPartition(topic, number), max(held.start, since.get(number, 0)))
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
                # What remains to be read may have been deleted in the meantime.
                held_now = _offset_ranges(consumer, topic)
                remaining = {
                    number: held
                    for number, held in remaining.items()
                    if number in held_now and held_now[number].start < held.end
                }
            if remaining and now - last_record > RECORD_TIMEOUT:
                raise Unavailable("the brokers do not answer")
            if page:
                yield page


def _offset_ranges(consumer: KafkaConsumer, topic: str) -> dict[int, OffsetRange]:
    # Unlike other requests for metadata, this one makes no broker create a missing topic.
    numbers = consumer.partitions_for_topic(topic) or set()
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    if not partitions:
        return {}
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

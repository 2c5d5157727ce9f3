"""Reads fetches with our record reader, and raises errors that the client hides."""

from collections.abc import Callable
from typing import Any

from kafka.consumer.fetcher import RecordTooLargeError
from kafka.errors import (
    CorruptRecordException,
    NoError,
    OffsetOutOfRangeError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.internals import ExtendedConsumer
from orders.adapters.kafka.wire.record_batches import UnreadableBatch, reader_of_poll

OnJump = Callable[[TopicPartition, int, int], None]
"""Called with a position that the log does not hold, and the one where reading resumes."""


def read_fetches(consumer: ExtendedConsumer, on_jump: OnJump) -> None:
    """Make ``poll`` return our records, and raise errors that the client would retry silently.

    ``on_jump`` is called where the client would reset an offset silently.

    ``poll`` then also raises UnreadableBatch for damage that the client detects, and
    UnknownTopicOrPartitionError or UnknownError if a broker responds with them.
    """
    jumps: dict[TopicPartition, int] = {}

    def parse(original: Callable[[Any], Any], fetch: Any) -> Any:
        return _parse(original, consumer.request_metadata, jumps, fetch)

    def reset(original: Callable[[TopicPartition], None], partition: TopicPartition) -> None:
        original(partition)
        position = jumps.pop(partition, None)
        resumed = consumer.current_position(partition)
        if position is not None and resumed is not None:
            on_jump(partition, position, resumed)

    consumer.read_with(reader_of_poll)
    consumer.wrap_fetcher(parse, reset)


def _parse(
    parse: Callable[[Any], Any],
    update: Callable[[], Any],
    jumps: dict[TopicPartition, int],
    fetch: Any,
) -> Any:
    """Parse a fetch, and raise the errors that ``parse`` hides."""
    partition = fetch.topic_partition
    error = for_code(fetch.partition_data[0])
    jumps.pop(partition, None)
    if error is OffsetOutOfRangeError:
        jumps[partition] = fetch.fetched_offset
    try:
        parsed = parse(fetch)
    except (CorruptRecordException, RecordTooLargeError) as damage:
        reason = type(damage).__name__
        place = (partition.topic, partition.partition, fetch.fetched_offset)
        raise UnreadableBatch(*place, reason) from damage
    if error is not NoError and issubclass(error, (UnknownTopicOrPartitionError, UnknownError)):
        update()
        raise error(str(partition.partition))
    return parsed

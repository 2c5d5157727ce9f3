"""Patches the client's fetcher to use our record reader and to raise errors that it hides.

The client has no public interface for either; its version is pinned.
"""

from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer
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

from orders.adapters.kafka.wire.record_batches import UnreadableBatch, read_records

_METADATA_WAIT_MS = 5_000


OnJump = Callable[[TopicPartition, int, int], None]
"""Called with a position that the log does not hold, and the one where reading resumes."""


def read_fetches(consumer: KafkaConsumer, on_jump: OnJump) -> None:
    """Make ``poll`` return our records, and raise errors that the client would retry silently.

    ``on_jump`` is called where the client would reset an offset silently.

    ``poll`` then also raises UnreadableBatch for damage that the client detects, and
    UnknownTopicOrPartitionError or UnknownError if a broker responds with them.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetcher._unpack_message_set = read_records  # noqa: SLF001
    parse = fetcher._parse_fetched_data  # noqa: SLF001
    update = consumer._client.cluster.request_update  # noqa: SLF001
    jumps: dict[TopicPartition, int] = {}
    fetcher._parse_fetched_data = lambda fetch: _parse(parse, update, jumps, fetch)  # noqa: SLF001
    reset = fetcher._reset_offset  # noqa: SLF001

    def reset_and_tell(partition: TopicPartition) -> None:
        reset(partition)
        position = jumps.pop(partition, None)
        state = consumer._subscription.assignment.get(partition)  # noqa: SLF001
        if position is not None and state and state.position is not None:
            on_jump(partition, position, state.position)

    fetcher._reset_offset = reset_and_tell  # noqa: SLF001


def refresh_topic(consumer: KafkaConsumer) -> None:
    """Refresh the metadata of the topic.

    Raises:
        KafkaError: the topic does not exist, or no broker responded in time.
    """
    client = consumer._client  # noqa: SLF001
    response = client.cluster.request_update()
    client.poll(timeout_ms=_METADATA_WAIT_MS, future=response)
    if response.failed():
        raise response.exception
    if not response.succeeded():
        raise UnknownError("no broker described the topic")


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

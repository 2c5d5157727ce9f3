"""How the client's fetcher is made to read what it has fetched, and to tell what goes wrong.

It offers no way to bring a reader of one's own, and keeps some of the brokers' answers to itself;
its version is pinned.
"""

from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import RecordTooLargeError
from kafka.errors import (
    CorruptRecordException,
    NoError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)

from orders.adapters.kafka.wire.record_batches import UnreadableBatch, read_records

_METADATA_WAIT_MS = 5_000


def read_fetches(consumer: KafkaConsumer) -> None:
    """Have ``poll`` give our records, and raise where the client would try again in silence.

    ``poll`` then also raises UnreadableBatch for damage that the client itself comes upon, and
    UnknownTopicOrPartitionError or UnknownError where a broker has answered so.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetcher._unpack_message_set = read_records  # noqa: SLF001
    parse = fetcher._parse_fetched_data  # noqa: SLF001
    update = consumer._client.cluster.request_update  # noqa: SLF001
    fetcher._parse_fetched_data = lambda fetch: _parse(parse, update, fetch)  # noqa: SLF001


def refresh_topic(consumer: KafkaConsumer) -> None:
    """Ask the brokers about the topic anew.

    Raises:
        KafkaError: there is no such topic now, or no broker has said so in time.
    """
    client = consumer._client  # noqa: SLF001
    answer = client.cluster.request_update()
    client.poll(timeout_ms=_METADATA_WAIT_MS, future=answer)
    if answer.failed():
        raise answer.exception
    if not answer.succeeded():
        raise UnknownError("no broker has told about the topic")


def _parse(parse: Callable[[Any], Any], update: Callable[[], Any], fetch: Any) -> Any:
    """``parse(fetch)``, and the errors that are hidden in it."""
    partition = fetch.topic_partition
    error = for_code(fetch.partition_data[0])
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

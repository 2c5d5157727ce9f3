"""What a fetch brings, as the client's own fetcher hands it on; no broker is asked."""

import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import CompletedFetch, FetchResponseMetricAggregator
from kafka.errors import KafkaError, UnknownError, UnknownTopicOrPartitionError
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.internals import ExtendedConsumer
from orders.adapters.kafka.consumer.fetches import read_fetches
from orders.adapters.kafka.wire.record_batches import Record, UnreadableBatch
from tests.integration.kafka.test_record_batches import batch_of, one

PARTITION = TopicPartition("orders", 3)
LENGTH_AT, LENGTH_SIZE = 8, 4
NO_ERROR, CORRUPT_MESSAGE, UNKNOWN_TOPIC, NOT_LEADER, STORAGE_ERROR = 0, 2, 3, 6, 56


class Fetches:
    """A consumer that reads one partition from offset 0, and never connects."""

    def __init__(self) -> None:
        self.consumer = ExtendedConsumer(bootstrap_servers="127.0.0.1:1", api_version=(2, 6, 0))
        self.consumer.assign([PARTITION])
        self.consumer.seek(PARTITION, 0)
        read_fetches(self.consumer, lambda *_: None)

    def arrive(self, fetched: bytes, error: int = NO_ERROR) -> list[Record]:
        """The records that a response with these bytes gives."""
        fetcher = self.consumer._fetcher
        metrics = FetchResponseMetricAggregator(fetcher._sensors, {PARTITION})
        answer = (error, 1_000, 1_000, (), fetched)
        parsed = fetcher._parse_fetched_data(CompletedFetch(PARTITION, 0, 4, answer, metrics))
        return [] if parsed is None else list(parsed.take())


@pytest.fixture(scope="module")
def fetches() -> Iterator[Fetches]:
    made = Fetches()
    yield made
    made.consumer.close(autocommit=False)


GOOD = [batch_of([one(b"%d" % n)], base_offset=n) for n in range(3)]


@given(damaged=st.integers(0, 2), data=st.data())
@pytest.mark.timeout(60)
def test_damage_anywhere_costs_no_neighbour_and_changes_nothing(
    fetches: Fetches, damaged: int, data: st.DataObject
) -> None:
    # The offset that a batch begins with is not covered by its checksum, nor by anything else.
    batch = bytearray(GOOD[damaged])
    for at in data.draw(st.lists(st.integers(LENGTH_AT, len(batch) - 1), min_size=1, max_size=4)):
        batch[at] = data.draw(st.integers(0, 255))
    values = []
    with suppress(UnreadableBatch):  # which is raised where nothing stands before it
        arrived = fetches.arrive(b"".join([*GOOD[:damaged], bytes(batch), *GOOD[damaged + 1 :]]))
        values = [record.value for record in arrived]
    assert len(values) >= damaged
    assert values == [b"0", b"1", b"2"][: len(values)]


@pytest.mark.parametrize("length", [-12, -1, 0, 13, 1 << 30, -(1 << 31)])
@pytest.mark.timeout(20)
def test_a_corrupt_length_is_raised_once_its_batch_comes_first(
    fetches: Fetches, length: int
) -> None:
    broken = bytearray(GOOD[1])
    broken[LENGTH_AT : LENGTH_AT + LENGTH_SIZE] = struct.pack(">i", length)
    assert [record.value for record in fetches.arrive(GOOD[0] + broken + GOOD[2])] == [b"0"]
    with pytest.raises(UnreadableBatch, match="orders partition 3 cannot be read at"):
        fetches.arrive(bytes(broken) + GOOD[2])


def test_what_a_broker_calls_corrupt_cannot_be_read(fetches: Fetches) -> None:
    with pytest.raises(UnreadableBatch, match="partition 3 cannot be read at 0"):
        fetches.arrive(b"", CORRUPT_MESSAGE)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (UNKNOWN_TOPIC, UnknownTopicOrPartitionError),
        (-1, UnknownError),
        (STORAGE_ERROR, UnknownError),
    ],
)
def test_an_error_that_the_client_would_retry_for_ever_is_raised(
    fetches: Fetches, code: int, error: type[KafkaError]
) -> None:
    with pytest.raises(error):
        fetches.arrive(b"", code)


def test_a_partition_that_has_moved_is_looked_for_without_a_word(fetches: Fetches) -> None:
    assert fetches.arrive(b"", NOT_LEADER) == []


def test_the_error_says_where_to_go_on(fetches: Fetches) -> None:
    broken = batch_of([one(), one(), one()])[:-1] + b"\xff"
    with pytest.raises(UnreadableBatch, match=r"setting the group's offset to 3$"):
        fetches.arrive(broken)

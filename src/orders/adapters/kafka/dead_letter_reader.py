"""Reads dead letters from their topic."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topic_snapshot import OffsetRange, offset_ranges, read_present
from orders.domain.dead_letters.headers import dead_letter_in
from orders.domain.intake.messages import Message, Origin
from orders.domain.ports import DeadLetterReader, Entry, Places


class KafkaDeadLetterReader(DeadLetterReader):
    """Reads the topic without a consumer group and without commits."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.dlq_topic

    @property
    def topic(self) -> str:
        """See ``DeadLetterReader.topic``."""
        return self._topic

    async def approximate_count(self) -> int | None:
        """See ``DeadLetterReader.approximate_count``; None where there is no topic."""
        found = await offset_ranges(self._settings, self._topic)
        if not found:
            return None
        return sum(offsets.end - offsets.start for offsets in found.values())

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        """See ``DeadLetterReader.read``."""
        within = None
        if places is not None:
            within = {n: OffsetRange(first, last + 1) for n, (first, last) in places.bounds.items()}
        async with aclosing(read_present(self._settings, self._topic, within)) as records:
            async for partition, record in records:
                if places is not None and (partition, record.offset) not in places:
                    continue
                origin = Origin(self._topic, partition, record.offset)
                message = Message(
                    origin, record.value, record.key, record.timestamp, record.headers
                )
                yield Entry((partition, record.offset), dead_letter_in(message))

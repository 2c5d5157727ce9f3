"""Messages that the brokers deleted before they were read."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from orders.adapters.kafka.client.gaps import KEPT, Gap, gap_in
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.consumer.gap_health import KafkaGaps
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from tests.contracts.inspection import found
from tests.contracts.message_source import receive, values_of
from tests.integration.kafka.other_client import OtherClient
from tests.integration.kafka.test_inspection import commit, delete_before
from tests.integration.opened import opened
from tests.waiting import until

NOTICED = "messages deleted before they were read"


async def read(source: KafkaMessageSource, amount: int) -> list[bytes | None]:
    batches = await receive(source, amount)
    await source.commit(batches[-1])
    return values_of(batches)


def noticed(lines: list[EventDict]) -> list[tuple[int, int, int]]:
    return [
        (line["partition"], line["first"], line["next"])
        for line in lines
        if line["event"] == NOTICED and line["log_level"] == "error"
    ]


async def test_a_gap_is_logged_and_known_to_health_and_doctor_also_afterwards(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.send_many(topics.topic, [b"x"] * 3, partition=1)
    async with opened(KafkaMessageSource(topics)) as source:
        await read(source, 3)
        await KafkaGaps(source).check()
    other_client.send_many(topics.topic, [b"lost"] * 4 + [b"y"] * 2, partition=1)
    delete_before(topics, 1, 7)
    with capture_logs() as lines:
        async with opened(KafkaMessageSource(topics)) as source:
            assert await read(source, 2) == [b"y", b"y"]
            with pytest.raises(Unavailable, match="offsets 3 to 6 of partition 1") as told:
                await KafkaGaps(source).check()
            lost = "orders_consumer_lost_messages_total"
            assert REGISTRY.get_sample_value(lost, {"partition": "1"}) == 4
            assert REGISTRY.get_sample_value(lost, {"partition": "0"}) == 0
    assert told.value.since is not None
    assert noticed(lines) == [(1, 3, 7)]
    for _ in range(2):  # what comes after it is committed, and the note stays
        finding = found(list(await KafkaInspection(topics).inspect()), "deleted unread")
        assert finding.state == "problem"
        assert "offsets 3 to 6 of partition 1" in finding.text
        other_client.send(topics.topic, b"z", partition=1)
        async with opened(KafkaMessageSource(topics)) as source:
            assert await read(source, 1) == [b"z"]
            await KafkaGaps(source).check()


async def test_a_gap_while_the_consumer_runs(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    async def receive_all(source: KafkaMessageSource) -> None:
        while True:
            await source.receive()

    with capture_logs() as lines:
        async with opened(KafkaMessageSource(topics)) as source:
            other_client.send(topics.topic, b"a", partition=0)
            await read(source, 1)
            # More than is read ahead while nobody receives.
            other_client.send_many(topics.topic, [b"x" * 1_000] * 10_000, partition=0)
            delete_before(topics, 0, 10_001)
            receiving = asyncio.create_task(receive_all(source))
            await until(lambda: bool(noticed(lines)), "noticing", 30)
            receiving.cancel()
    [(partition, first, following)] = noticed(lines)
    assert (partition, following) == (0, 10_001)
    assert 1 <= first < 10_001


async def test_a_position_beyond_the_end_is_no_gap(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.send(topics.topic, b"a", partition=0)
    commit(topics, 0, 99)
    with capture_logs() as lines:
        async with opened(KafkaMessageSource(topics)) as source:
            assert await read(source, 1) == [b"a"]
            await KafkaGaps(source).check()
    [line] = [line for line in lines if line["event"] == "position beyond the end"]
    assert (line["partition"], line["position"], line["next"]) == (0, 99, 0)


NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_what_is_noted_is_kept_for_some_days() -> None:
    gap = Gap(3, 7, NOW)
    assert gap_in(gap.as_metadata, NOW + KEPT) == gap
    assert gap_in(gap.as_metadata, NOW + KEPT + timedelta(seconds=1)) is None
    naive = gap.as_metadata.replace("Z", "")
    for other in (None, "", "note of another tool", "{}", "[1]", naive):
        assert gap_in(other, NOW) is None


def test_two_gaps_become_one_that_holds_both() -> None:
    later = NOW + timedelta(hours=1)
    both = Gap(3, 9, later)
    assert Gap(3, 7, NOW).joined(Gap(8, 9, later)) == both
    assert both.joined(Gap(3, 7, NOW)) == both.joined(None) == both

"""Partitions that change hands."""

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress

import msgspec
import pytest
from kafka.protocol.group import LeaveGroupRequest

from orders.adapters.kafka.client.settings import KafkaSettings, admin_client
from orders.adapters.kafka.consumer import consumer_thread
from orders.adapters.kafka.consumer.consumer_thread import InstanceReplaced
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Batch, Origin
from tests.contracts.message_source import messages_of, nothing_comes, receive, values_of
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened
from tests.waiting import until, works


class Worker:
    """Stores what a source gives, takes its time, and commits."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.source = KafkaMessageSource(settings)
        self.stored: list[Origin] = []
        self.confirmed: list[Origin] = []

    async def run(self) -> None:
        while True:
            batch = await self.source.receive()
            self.stored += [message.origin for message in batch.messages]
            await asyncio.sleep(0.01)
            with suppress(Unavailable):
                await self.source.commit(batch)
                self.confirmed += [message.origin for message in batch.messages]


async def test_nothing_is_lost_and_nothing_goes_back_while_members_come_and_go(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    total = 0
    enough = asyncio.Event()

    async def send() -> None:
        nonlocal total
        while not enough.is_set():
            await asyncio.to_thread(other_client.send_many, topics.topic, [b"x"] * 50)
            total += 50
            await asyncio.sleep(0.05)

    first, second = Worker(topics), Worker(topics)
    async with opened(first.source):
        sending = asyncio.create_task(send())
        working = asyncio.create_task(first.run())
        await until(lambda: len(first.stored) > 100, "the first member working")
        async with opened(second.source):
            helping = asyncio.create_task(second.run())
            await until(lambda: len(second.stored) > 300, "the second member working")
            helping.cancel()
        so_far = len(first.stored)
        await until(lambda: len(first.stored) > so_far + 300, "the first one having all again")
        enough.set()
        await sending
        await until(
            lambda: len({*first.stored, *second.stored}) == total, "all messages being stored"
        )

        async def all_committed() -> bool:
            positions = await asyncio.to_thread(
                other_client.committed, topics.group, topics.topic, 3
            )
            return sum(max(0, position) for position in positions) == total

        await until(all_committed, "all messages being committed")
        working.cancel()
    times = Counter(first.confirmed + second.confirmed)
    # Only what the second member held when it left uncommitted may have been given out again.
    assert {origin for origin, number in times.items() if number > 1} == set()
    for stored in (first.stored, second.stored):
        last: dict[int, int] = defaultdict(lambda: -1)
        for origin in stored:
            assert origin.offset > last[origin.partition] or origin not in times
            last[origin.partition] = origin.offset


async def test_a_batch_in_progress_is_committed_before_its_partitions_are_revoked(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    await asyncio.to_thread(other_client.send_many, topics.topic, [b"%d" % n for n in range(60)])
    first, second = KafkaMessageSource(topics), KafkaMessageSource(topics)
    async with opened(first):
        in_hand = await receive(first, 60)
        async with opened(second):
            await asyncio.sleep(1.5)  # less than it holds on to its partitions for
            assert not await works(second)
            for batch in in_hand:
                await first.commit(batch)
            await until(lambda: works(second), "the hand-over")
            assert await nothing_comes(second)
            positions = await asyncio.to_thread(
                other_client.committed, topics.group, topics.topic, 3
            )
            assert sum(max(0, position) for position in positions) == 60


async def test_buffered_records_of_revoked_partitions_are_dropped(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    values = [b"%03d" % n for n in range(600)]
    first, second = KafkaMessageSource(topics), KafkaMessageSource(topics)
    async with opened(first):
        await until(lambda: works(first), "joining")
        await asyncio.to_thread(other_client.send_many, topics.topic, values)
        thread = first._thread
        assert thread is not None
        ahead = thread._buffer
        await until(lambda: ahead._number == len(values), "it reads ahead, and nobody asks")
        async with opened(second):
            await until(lambda: works(second), "the hand-over")
            found: dict[KafkaMessageSource, list[Batch]] = {first: [], second: []}

            async def collect(source: KafkaMessageSource) -> None:
                while True:
                    found[source].append(await source.receive())
                    await source.commit(found[source][-1])

            tasks = [asyncio.create_task(collect(source)) for source in found]
            await until(
                # Only what the second has received shows whether the first gave it out too.
                lambda: (
                    bool(found[second])
                    and len(values_of(found[first] + found[second])) >= len(values)
                ),
                "all messages coming",
            )
            assert not any(task.done() for task in tasks), "a source has failed"
            assert {*values_of(found[first] + found[second])} == {*values}
            owned = [
                {message.origin.partition for message in messages_of(batches)}
                for batches in found.values()
            ]
            assert owned[0].isdisjoint(owned[1])
            for task in tasks:
                task.cancel()


async def test_a_batch_that_takes_too_long_is_dropped_and_its_commit_skipped(
    topics: KafkaSettings, other_client: OtherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_thread, "REVOKE_WAIT", 0.5)
    values = [b"%02d" % n for n in range(30)]
    await asyncio.to_thread(other_client.send_many, topics.topic, values)
    first, second = KafkaMessageSource(topics), KafkaMessageSource(topics)
    async with opened(first):
        in_hand = await receive(first, len(values))
        async with opened(second):
            again: list[Batch] = []

            async def collect(source: KafkaMessageSource) -> None:
                while True:
                    again.append(await source.receive())

            tasks = [asyncio.create_task(collect(source)) for source in (first, second)]
            await until(lambda: values_of(again) == values, "all messages coming again")
            for batch in in_hand:
                await first.commit(batch)
            positions = await asyncio.to_thread(
                other_client.committed, topics.group, topics.topic, 3
            )
            assert all(position < 0 for position in positions)
            for task in tasks:
                task.cancel()


async def test_stays_a_member_while_nobody_asks_for_messages(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    options = {"max_poll_interval_ms": 2_000, "session_timeout_ms": 6_000}
    async with opened(KafkaMessageSource(topics, **options)) as source:
        values = [b"%05d" % n for n in range(6_000)]
        await asyncio.to_thread(other_client.send_many, topics.topic, values)
        in_hand = await source.receive()
        await asyncio.sleep(6)  # three times max_poll_interval_ms
        assert await works(source)
        await source.commit(in_hand)
        rest = await receive(source, len(values) - len(in_hand.messages))
        assert values_of([in_hand, *rest]) == values


async def test_a_pause_survives_a_rebalance_and_nothing_is_lost(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    values = [b"%05d" % n for n in range(9_000)]
    first, second = KafkaMessageSource(topics), KafkaMessageSource(topics)
    async with opened(first):
        await asyncio.to_thread(other_client.send_many, topics.topic, values)
        [head] = await receive(first, 1)
        await first.commit(head)
        async with opened(second):
            await until(lambda: works(second), "the second member joining")
            await asyncio.sleep(1)  # both have read ahead, and nobody asks
            got = [head]

            async def collect(source: KafkaMessageSource) -> None:
                while True:
                    got.append(await source.receive())
                    await source.commit(got[-1])

            tasks = [asyncio.create_task(collect(source)) for source in (first, second)]
            await until(lambda: len(values_of(got)) >= len(values), "all messages coming")
            for task in tasks:
                task.cancel()
            assert values_of(got) == values


async def test_a_static_member_has_its_partitions_back_at_once(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    static = msgspec.structs.replace(topics, instance_id="one")
    values = [b"%d" % n for n in range(9)]
    await asyncio.to_thread(other_client.send_many, topics.topic, values)
    async with opened(KafkaMessageSource(static)) as source:
        await receive(source, 9)
    assert await asyncio.to_thread(other_client.members, topics.group) == [3]
    async with asyncio.timeout(5), opened(KafkaMessageSource(static)) as source:
        batches = await receive(source, 9)
        assert values_of(batches) == values
        await source.commit(batches[-1])
    positions = await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 3)
    assert sum(max(0, position) for position in positions) == 9


@pytest.mark.parametrize("learns_by", ["heartbeat", "commit"])
async def test_a_static_member_ends_when_another_has_taken_its_place(
    topics: KafkaSettings, other_client: OtherClient, learns_by: str
) -> None:
    static = msgspec.structs.replace(topics, instance_id="one")
    interval = {"heartbeat": 500, "commit": 3_000}[learns_by]
    first = KafkaMessageSource(static, heartbeat_interval_ms=interval)
    second = KafkaMessageSource(static)
    await asyncio.to_thread(other_client.send_many, topics.topic, [b"%d" % n for n in range(9)])
    async with opened(first):
        in_hand = await receive(first, 9)
        async with opened(second):
            again = await receive(second, 9)
            if learns_by == "commit":
                for batch in in_hand:
                    with pytest.raises(Unavailable):
                        await first.commit(batch)
            with pytest.raises(InstanceReplaced, match="ORDERS_KAFKA_INSTANCE_ID"):
                async with asyncio.timeout(10):
                    await first.receive()
            with pytest.raises(Unavailable):
                await first.check()
            for batch in again:
                await second.commit(batch)
            assert await works(second)
    positions = await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 3)
    assert sum(max(0, position) for position in positions) == 9


def remove_static_member(settings: KafkaSettings) -> None:
    """Have the brokers forget a member, as they do after its session timeout."""
    with admin_client(settings, request_timeout_ms=10_000) as admin:
        node = admin._find_coordinator_ids([settings.group])[settings.group]
        request = LeaveGroupRequest[3](settings.group, [("", settings.instance_id)])
        left = admin._send_request_to_node(node, request)
        admin._wait_for_futures([left])
        assert left.value.error_code == 0


async def test_a_static_member_that_was_silent_for_too_long_joins_again(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    static = msgspec.structs.replace(topics, instance_id="one")
    values = [b"%d" % n for n in range(9)]
    await asyncio.to_thread(other_client.send_many, topics.topic, values)
    async with opened(KafkaMessageSource(static)) as source:
        in_hand = await receive(source, 9)
        await asyncio.to_thread(remove_static_member, static)
        with pytest.raises(Unavailable):
            await source.commit(in_hand[-1])
        again = await receive(source, 9)
        assert values_of(again) == values
        for batch in again:
            await source.commit(batch)
    positions = await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 3)
    assert sum(max(0, position) for position in positions) == 9


async def test_a_member_that_leaves_is_gone_at_once(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaMessageSource(topics)) as source:
        await until(lambda: works(source), "joining")
        assert await asyncio.to_thread(other_client.members, topics.group) == [3]
    assert await asyncio.to_thread(other_client.members, topics.group) == []


async def test_a_spare_member_without_partitions_works(topics: KafkaSettings) -> None:
    single = msgspec.structs.replace(topics, topic=topics.topic + "-1", partitions=1)
    first, second = KafkaMessageSource(single), KafkaMessageSource(single)
    async with opened(first), opened(second):
        await until(lambda: works(first), "the first joining")
        await until(lambda: works(second), "the second joining")

"""How many partitions change hands when consumers come and go; the broker is asked who has what."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from structlog.testing import capture_logs

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from tests.contracts.inspection import found
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened
from tests.waiting import until, works

PARTITIONS = 12
EARLIER = {"partition_assignment_strategy": (RangePartitionAssignor, RoundRobinPartitionAssignor)}
"""What consumers of earlier versions offer."""


class Assignment(NamedTuple):
    """What a group agrees on: its assignor, and the owner of each partition by client id."""

    assignor: str
    owners: dict[int, str]
    client_ids: tuple[str, ...]

    def moved_since(self, before: "Assignment") -> int:
        return sum(before.owners[number] != owner for number, owner in self.owners.items())


class Watcher:
    """Asks the broker, through librdkafka."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._group = settings.group
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap})

    async def settled(self, members: int, partitions: int = PARTITIONS) -> Assignment:
        """The assignment once so many members have all partitions."""
        seen: list[Assignment] = []

        async def has_settled() -> bool:
            try:
                state, assignment = await asyncio.to_thread(self._ask)
            except KafkaException:  # a new cluster has no group coordinator yet
                return False
            seen[:] = [assignment]
            sizes = (len(assignment.client_ids), len(assignment.owners))
            return state == "STABLE" and sizes == (members, partitions)

        await until(has_settled, f"{members} members with all partitions")
        return seen[0]

    def _ask(self) -> tuple[str, Assignment]:
        [asked] = self._admin.describe_consumer_groups([self._group]).values()
        group: Any = asked.result(15)
        owners = {
            partition.partition: member.client_id
            for member in group.members
            for partition in (member.assignment.topic_partitions if member.assignment else ())
        }
        client_ids = tuple(sorted(member.client_id for member in group.members))
        return group.state.name, Assignment(group.partition_assignor, owners, client_ids)


@pytest.fixture
def wide(kafka_settings: KafkaSettings, other_client: OtherClient) -> KafkaSettings:
    """A topic of many partitions; the cluster has others."""
    settings = msgspec.structs.replace(kafka_settings, partitions=PARTITIONS)
    other_client.create(f"{settings.topic}.other", partitions=5)
    TopicAdmin(settings).ensure()
    return settings


def named(settings: KafkaSettings, name: str, instance_id: str | None = None) -> KafkaSettings:
    """Members are sorted by client id first, so range gives the same in every run."""
    return msgspec.structs.replace(settings, client_id=name, instance_id=instance_id)


async def moves(settings: KafkaSettings, **options: Any) -> list[int]:
    """How many partitions move as each of a to d joins, and then as each of a to c leaves."""
    watcher = Watcher(settings)
    found: list[int] = []
    async with AsyncExitStack() as stack:
        staying: list[AsyncExitStack] = []
        before = None
        for number, name in enumerate("abcd", 1):
            one = await stack.enter_async_context(AsyncExitStack())
            await one.enter_async_context(
                opened(KafkaMessageSource(named(settings, name), **options))
            )
            staying.append(one)
            after = await watcher.settled(number)
            found += [after.moved_since(before)] if before else []
            before = after
        for number, one in zip((3, 2, 1), staying, strict=False):
            await one.aclose()
            assert before is not None
            after = await watcher.settled(number)
            found.append(after.moved_since(before))
            before = after
    return found


@pytest.mark.timeout(180)
async def test_only_what_must_moves_as_consumers_come_and_go(wide: KafkaSettings) -> None:
    joining, leaving = [6, 4, 3], [3, 4, 6]  # twelve in equal shares
    assert await moves(wide) == joining + leaving
    by_range = await moves(wide, **EARLIER)
    assert by_range == [6, 6, 6, 6, 6, 6]


@pytest.mark.timeout(120)
async def test_a_static_member_that_restarts_has_the_same_partitions_again(
    wide: KafkaSettings,
) -> None:
    watcher = Watcher(wide)
    async with (
        opened(KafkaMessageSource(named(wide, "a", "one"))),
        opened(KafkaMessageSource(named(wide, "b", "two"))),
    ):
        async with opened(KafkaMessageSource(named(wide, "c", "three"))) as third:
            await until(lambda: works(third), "joining")
            before = await watcher.settled(3)
        async with opened(KafkaMessageSource(named(wide, "c", "three"))) as third:
            await until(lambda: works(third), "joining again")
            assert (await watcher.settled(3)).moved_since(before) == 0
            async with opened(KafkaMessageSource(named(wide, "d", "four"))):
                after = await watcher.settled(4)
                assert after.moved_since(before) == 3
                assert after.assignor == "sticky"


@pytest.mark.timeout(120)
async def test_with_members_of_an_earlier_version_the_group_agrees_on_range(
    wide: KafkaSettings,
) -> None:
    watcher = Watcher(wide)
    async with (
        opened(KafkaMessageSource(named(wide, "b"))),
        opened(KafkaMessageSource(named(wide, "c"))),
    ):
        assert (await watcher.settled(2)).assignor == "sticky"
        async with opened(KafkaMessageSource(named(wide, "a"), **EARLIER)):
            before = await watcher.settled(3)
            assert before.assignor == "range"
        after = await watcher.settled(2)
        assert after.assignor == "sticky"
        assert after.moved_since(before) == 4  # those of the one that has left


async def test_a_consumer_without_a_partition_says_so_once_and_doctor_too(
    topics: KafkaSettings,
) -> None:
    single = msgspec.structs.replace(topics, topic=f"{topics.topic}-1", partitions=1)
    watcher = Watcher(single)
    event = "no partition assigned"

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(KafkaMessageSource(named(single, "a"))))
        await watcher.settled(1, 1)
        with capture_logs() as lines:
            for number, name in enumerate("bc", 2):
                spare = await stack.enter_async_context(
                    opened(KafkaMessageSource(named(single, name)))
                )
                await until(lambda spare=spare: works(spare), "joining")  # type: ignore[misc]
                await watcher.settled(number, 1)
        said = [line for line in lines if line["event"] == event]
        assert len(said) == 2  # b, which went through two rebalances, and c
        assert said[0]["log_level"] == "warning"
        assert "add partitions" in said[0]["advice"]
        group = found(await KafkaInspection(single).inspect(), f"group {single.group}")
    assert group.state == "warning"
    assert "2 of them without a partition" in group.text


async def test_partitions_that_are_added_go_to_the_spare_and_nobody_loses_one(
    topics: KafkaSettings,
) -> None:
    single = msgspec.structs.replace(topics, topic=f"{topics.topic}-1", partitions=1)
    watcher = Watcher(single)
    soon = {"metadata_max_age_ms": 500}
    async with (
        opened(KafkaMessageSource(named(single, "a"), **soon)),
        opened(KafkaMessageSource(named(single, "b"), **soon)),
    ):
        before = await watcher.settled(2, 1)
        admin = AdminClient({"bootstrap.servers": single.bootstrap})
        [added] = admin.create_partitions([NewPartitions(single.topic, 3)]).values()
        await asyncio.to_thread(added.result, 15)
        after = await watcher.settled(2, 3)
        assert after.owners[0] == before.owners[0]
        assert set(after.owners.values()) == {"a", "b"}

"""Brokers that freeze, die, recover, or were never up."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orders.adapters.kafka.client import topic_snapshot
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.consumer.commit_health import KafkaCommits
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.bootstrap import build, to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.intake.reading import read
from orders.domain.order.model import Order
from orders.domain.ports import Dependency
from tests.contracts.dead_letters import dead_letter
from tests.contracts.message_source import nothing_comes, receive, values_of
from tests.contracts.publisher import ORDER_FILE
from tests.integration.kafka.other_client import OtherClient
from tests.integration.kafka.own_broker import OwnBroker
from tests.integration.opened import opened
from tests.waiting import until, wait_until, works


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    broker = OwnBroker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def broker(own_broker: OwnBroker) -> Iterator[OwnBroker]:
    """A broker that runs, whatever the test before did to it."""
    own_broker.start()
    yield own_broker
    own_broker.thaw()


@pytest.fixture
def kafka_bootstrap(own_broker: OwnBroker) -> str:
    return own_broker.bootstrap


@pytest.fixture
def order() -> Order:
    return read(ORDER_FILE.read_bytes()).accepted[0].order


async def in_time(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Fail if this takes longer."""
    started = time.monotonic()
    await work
    assert time.monotonic() - started < seconds


async def loop_stays_free(work: Coroutine[Any, Any, None]) -> None:
    """Fail if the event loop is held up for long while this runs."""
    task = asyncio.create_task(work)
    longest = 0.0
    while not task.done():
        started = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - started)
    assert longest < 0.5
    await task


async def test_a_source_waits_for_a_broker_that_is_not_there_yet(
    own_broker: OwnBroker, kafka_settings: KafkaSettings
) -> None:
    own_broker.stop()
    async with opened(KafkaMessageSource(kafka_settings)) as source:
        assert not await works(source)
        waiting = asyncio.create_task(source.receive())
        await asyncio.to_thread(own_broker.start)
        await until(lambda: works(source), "joining")
        other_client = OtherClient(own_broker.bootstrap)
        await asyncio.to_thread(other_client.send, kafka_settings.topic, b"x")
        async with asyncio.timeout(15):
            assert values_of([await waiting]) == [b"x"]


async def test_a_producer_waits_for_a_broker_that_is_not_there_yet(
    own_broker: OwnBroker, kafka_settings: KafkaSettings, order: Order
) -> None:
    own_broker.stop()
    async with opened(KafkaProducerClient(kafka_settings)) as client:
        publisher = KafkaPublisher(client, kafka_settings)
        assert not await works(publisher)
        with pytest.raises(Unavailable):
            await in_time(8, publisher.publish([order]))
        await asyncio.to_thread(own_broker.start)
        await until(lambda: works(publisher), "connecting")
        await publisher.publish([order])


async def test_nothing_hangs_at_the_end_when_there_never_was_a_broker() -> None:
    settings = to_kafka_settings(Settings(kafka_bootstrap="127.0.0.1:1"))
    for client in (KafkaMessageSource(settings), KafkaProducerClient(settings)):
        await client.open()
        assert not await works(client)
        await in_time(5, client.close())


async def test_with_a_frozen_broker_a_commit_and_the_end_are_bounded(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient
) -> None:
    source = KafkaMessageSource(topics)
    await source.open()
    await asyncio.to_thread(other_client.send, topics.topic, b"x")
    [batch] = await receive(source, 1)
    broker.freeze()
    frozen_at = time.time()
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await loop_stays_free(source.commit(batch))
    assert time.monotonic() - started < 6
    await until(lambda: _down(source), "the source noticing", seconds=12)
    with pytest.raises(Unavailable) as known:
        await source.check()
    assert known.value.since is not None
    # The last sign of life came before the freeze, by a heartbeat's interval at most.
    assert -4 < known.value.since.timestamp() - frozen_at < 1
    await in_time(5, loop_stays_free(source.close()))


async def test_after_a_freeze_a_source_goes_on_by_itself(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaMessageSource(topics)) as source:
        await asyncio.to_thread(other_client.send, topics.topic, b"a")
        [batch] = await receive(source, 1)
        broker.freeze()
        with pytest.raises(Unavailable):
            await source.commit(batch)
        broker.thaw()
        # What could not be committed is, without anybody asking again.
        await until(
            lambda: _is_committed(other_client, topics, 1), "the commit after all", seconds=40
        )
        await asyncio.to_thread(other_client.send, topics.topic, b"b")
        assert values_of(await receive(source, 1)) == [b"b"]


async def test_after_a_broker_died_and_came_back_a_source_goes_on(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaMessageSource(topics)) as source:
        await asyncio.to_thread(other_client.send_many, topics.topic, [b"a", b"b"])
        for batch in await receive(source, 2):
            await source.commit(batch)
        broker.kill()
        await until(lambda: _down(source), "the source noticing", seconds=15)
        await asyncio.to_thread(broker.start)
        await until(lambda: works(source), "the recovery of the source", seconds=40)
        await asyncio.to_thread(other_client.send, topics.topic, b"c")
        batches = await receive(source, 1)
        assert values_of(batches) == [b"c"]
        await source.commit(batches[-1])
        assert await nothing_comes(source)


async def test_with_a_dead_broker_the_end_is_bounded(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient
) -> None:
    source, client = KafkaMessageSource(topics), KafkaProducerClient(topics)
    await source.open()
    await client.open()
    await asyncio.to_thread(other_client.send, topics.topic, b"x")
    [batch] = await receive(source, 1)
    await until(lambda: works(client), "connecting")
    broker.kill()
    with pytest.raises(Unavailable):
        await in_time(6, source.commit(batch))
    with pytest.raises(Unavailable):
        await in_time(8, KafkaDeadLetters(client, topics).put([dead_letter()]))
    await in_time(5, source.close())
    await in_time(5, client.close())


async def test_with_a_frozen_broker_sending_is_bounded_and_goes_on_after_it(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient, order: Order
) -> None:
    async with opened(KafkaProducerClient(topics)) as client:
        publisher, dead_letters = KafkaPublisher(client, topics), KafkaDeadLetters(client, topics)
        await until(lambda: works(client), "connecting")
        broker.freeze()
        with pytest.raises(Unavailable):
            await in_time(8, loop_stays_free(publisher.publish([order])))
        assert not await works(client)
        with pytest.raises(Unavailable):
            await in_time(8, dead_letters.put([dead_letter()]))
        broker.thaw()
        await until(lambda: works(client), "the recovery of the producer", seconds=40)
        later = msgspec.structs.replace(order, order_uid="later")
        await publisher.publish([later])
        await dead_letters.put([dead_letter(offset=8)])
    arrived = await asyncio.to_thread(other_client.read_all, topics.topic)
    assert b"later" in {message.key for message in arrived}


async def _down(source: KafkaMessageSource) -> bool:
    return not await works(source)


async def _is_committed(other_client: OtherClient, settings: KafkaSettings, amount: int) -> bool:
    positions = await asyncio.to_thread(other_client.committed, settings.group, settings.topic, 3)
    return sum(max(0, position) for position in positions) == amount


SCRIPT = """
import asyncio, sys
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.client import topic_snapshot
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.bootstrap import build, to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable

async def main(bootstrap, topic):
    settings = to_kafka_settings(
        Settings(kafka_bootstrap=bootstrap, kafka_topic=topic, kafka_dlq_topic=topic + ".dlq")
    )
    source, client = KafkaMessageSource(settings), KafkaProducerClient(settings)
    await client.open()
    await source.open()
    for part in (client, source):
        while True:
            try:
                await part.check()
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await source.close()
    await client.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("trouble", ["none", "frozen", "dead"])
def test_a_process_ends_by_itself_whatever_the_broker_does(
    broker: OwnBroker, topics: KafkaSettings, trouble: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, topics.bootstrap, topics.topic],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(lambda: "ready\n" in log.read_text(), 60, "it is ready", log.read_text)
        {"none": lambda: None, "frozen": broker.freeze, "dead": broker.kill}[trouble]()
        started = time.monotonic()
        process.communicate(b"\n", timeout=30)
        assert process.returncode == 0, log.read_text()
        assert time.monotonic() - started < 12
    finally:
        process.kill()
        process.wait()


async def test_commits_that_are_not_confirmed_are_known(
    broker: OwnBroker, topics: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaMessageSource(topics)) as source:
        commits = KafkaCommits(source)
        other_client.send(topics.topic, b"1")
        [batch] = await receive(source, 1)
        await commits.check()
        broker.freeze()
        with pytest.raises(Unavailable):
            await source.commit(batch)
        await until(lambda: fails(commits), "the commits are known to be unconfirmed")
        with pytest.raises(Unavailable, match="no commit has been confirmed") as known:
            await commits.check()
        assert known.value.since is not None
        broker.thaw()
        await until(lambda: works(commits), "the commit is confirmed after all")


async def test_a_producer_whose_network_thread_has_ended_does_not_work(
    broker: OwnBroker, topics: KafkaSettings
) -> None:
    async with opened(KafkaProducerClient(topics)) as client:
        await until(lambda: works(client), "connecting")
        client._producer._sender.force_close()
        await until(lambda: fails(client), "the end of the thread is noticed", 30)
        with pytest.raises(Unavailable, match="network thread has ended"):
            await client.check()


@pytest.mark.parametrize(
    ("suffix", "number"), [("", 0), ("", 1), (".replays", 0)], ids=["count", "index", "journal"]
)
async def test_dead_letters_are_not_taken_for_missing_while_the_broker_is_frozen(
    broker: OwnBroker,
    topics: KafkaSettings,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    number: int,
) -> None:
    """Nor deleted, which needs their index: what it lacks would not wait for a replay."""
    async with opened(KafkaProducerClient(topics)) as client:
        await KafkaDeadLetters(client, topics).put([dead_letter(offset=n) for n in range(3)])
    described, calls = topic_snapshot._offset_ranges, count()

    def describe(*arguments: Any) -> Any:
        is_it = arguments[-1] == topics.dlq_topic + suffix and next(calls) == number
        if is_it:
            broker.freeze()
        try:
            return described(*arguments)
        finally:
            if is_it:
                broker.thaw()

    monkeypatch.setattr(topic_snapshot, "_offset_ranges", describe)
    settings = Settings(kafka_bootstrap=topics.bootstrap, kafka_dlq_topic=topics.dlq_topic)
    container = build(settings, "dlq")
    with pytest.raises(Unavailable):
        await container.delete_dead_letters()(datetime.now(UTC))
    assert next(calls) > number
    assert await container.all_dead_letters().approximate_count() == 3


async def fails(dependency: Dependency) -> bool:
    return not await works(dependency)

"""Which adapter stands behind which port."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.read_path.local_cache import BoundedLocalCache
from orders.adapters.read_path.no_cache import NoCache
from orders.adapters.read_path.replica_reads import ReplicaReads
from orders.bootstrap import build, build_in_memory, open_all
from orders.config import Settings
from tests.contracts.order_repository import order_of

SETTINGS = Settings(
    postgres_dsn="host=db.invalid",
    kafka_bootstrap="broker.invalid:9092",
    redis_url="redis://cache.invalid",
)


def test_everything_can_be_made_and_nothing_connects() -> None:
    container = build(replace(SETTINGS, postgres_read_dsn="host=replica.invalid"), "api")
    for name, provider in container.providers.items():
        if name not in {"settings", "process"}:
            provider()
    assert isinstance(container.cache(), CircuitBreakerCache)


def test_each_object_is_made_once() -> None:
    container = build(SETTINGS, "api")
    assert container.repository() is container.repository()
    assert container.ingest() is container.ingest()
    assert container.database() in container.consumer_resources()


async def test_without_redis_there_is_no_cache_and_none_is_asked_for_its_health() -> None:
    container = build(
        Settings(postgres_dsn="host=db.invalid", kafka_bootstrap="b.invalid:9092"), "api"
    )
    assert isinstance(container.cache(), NoCache)
    assert not container.cache_resources()
    await container.cache().put({"a": b"1"})
    assert await container.cache().get(["a"]) == {}
    assert set(container.optional()) == {"kafka"}
    assert set(container.consumer_optional()) == {"commits", "gap"}


async def test_look_ups_have_a_cache_of_their_own_before_the_shared_one() -> None:
    container = build(SETTINGS, "api")
    near = container.local_cache()
    assert isinstance(near, BoundedLocalCache)
    assert near in container.look_up_resources()
    assert isinstance(container.cache(), CircuitBreakerCache)  # which the consumer puts into
    await near.put({"a": b"1"})
    held = container.look_up().peek("a")
    assert held is not None
    assert held.document == b"1"


async def test_the_cache_in_the_process_can_be_left_out() -> None:
    container = build(msgspec.structs.replace(SETTINGS, cache_local_bytes=0), "api")
    assert not isinstance(container.local_cache(), BoundedLocalCache)
    assert container.look_up().peek("a") is None
    in_memory = build_in_memory(Settings(cache_local_bytes=0))
    for built in (container, in_memory):
        assert not any(isinstance(r, BoundedLocalCache) for r in built.look_up_resources())
        assert built.look_up_resources() == [built.local_cache(), built.reader()]


async def test_with_redis_the_consumer_says_how_it_is() -> None:
    container = build(SETTINGS, "api")
    assert set(container.consumer_optional()) == {"commits", "gap", "redis"}
    assert "redis" not in container.consumer_required()


async def test_who_listens_is_given_no_order_that_was_forgotten() -> None:
    container = build_in_memory(Settings())
    watch = container.watch_orders()
    start = (await watch.open()).position
    await container.repository().save_many([order_of("gone"), order_of("stays")])
    await watch.poll()
    await container.forget_orders()(["gone"])
    resumed = await (await watch.open(start)).next()
    assert [event.order_uid for event in resumed] == ["stays"]


async def test_in_memory_all_is_there_and_ready() -> None:
    container = build_in_memory(Settings())
    (order,) = await container.publish_random()(1)
    batch = await container.source().receive()
    await container.ingest().store(container.ingest().prepare(batch.messages))
    assert await container.look_up()(order.order_uid)
    assert (await container.readiness()()).state == "ready"
    consumer = await container.consumer_readiness()()
    assert (consumer.state, set(consumer.parts)) == ("ready", {"store"})


async def test_a_consumer_whose_producer_has_ended_is_not_ready() -> None:
    container = build(SETTINGS, "api")
    broken = KafkaProducerClient(container.kafka_settings(), ensures="none", unheard_of=1)
    with container.dead_letter_producer.override(broken), capture_logs() as lines:
        async with open_all(broken):
            async with asyncio.timeout(10):
                while not lines:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            found = await container.consumer_readiness()()
    assert found.state == "unavailable"
    assert found.parts["dead_letters"].reason == "the producer has ended (AssertionError)"


class Part:
    def __init__(self, name: str, seen: list[str], *, fails: bool = False) -> None:
        self._name, self._seen, self._fails = name, seen, fails

    async def open(self) -> None:
        if self._fails:
            raise ConnectionError
        self._seen.append(f"+{self._name}")

    async def close(self) -> None:
        self._seen.append(f"-{self._name}")


class Meeting:
    """Closes only once two are at it."""

    def __init__(self, barrier: asyncio.Barrier, *, fails: bool = False) -> None:
        self._barrier, self._fails = barrier, fails

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        if self._fails:
            raise ConnectionError
        await self._barrier.wait()


async def test_what_was_opened_is_closed_also_when_another_does_not_open() -> None:
    seen: list[str] = []
    async with open_all(Part("a", seen), Part("b", seen)):
        seen.append("work")
    assert seen[:3] == ["+a", "+b", "work"]
    assert set(seen[3:]) == {"-a", "-b"}
    seen.clear()
    with pytest.raises(ConnectionError):
        async with open_all(Part("a", seen), Part("b", seen, fails=True)):
            seen.append("never")
    assert seen == ["+a", "-a"]


async def test_all_are_closed_at_once_and_one_that_fails_hides_nothing() -> None:
    both = asyncio.Barrier(2)
    with pytest.raises(ConnectionError):
        async with (
            asyncio.timeout(5),
            open_all(Meeting(both), Meeting(both, fails=True), Meeting(both)),
        ):
            pass
    assert both.n_waiting == 0


def test_with_a_replica_the_api_reads_from_it_and_the_consumer_does_not_open_it() -> None:
    container = build(replace(SETTINGS, postgres_read_dsn="host=replica.invalid"), "api")
    assert isinstance(container.repository(), ReplicaReads)
    assert container.replica_database() in container.api_resources()
    assert container.replica_database() not in container.consumer_resources()
    assert set(container.optional()) == {"kafka", "redis", "replica"}
    assert set(container.inspected()) == {"postgres", "replica", "redis", "kafka"}

"""The turns of those who send through one producer, in its thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer
from kafka.future import Future

from orders.adapters.kafka import publisher
from orders.adapters.kafka.client import producer
from orders.adapters.kafka.client.producer import (
    _DEFAULTS,
    SENT_AT_ONCE,
    KafkaProducerClient,
    Outgoing,
    choose_partition,
)
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.bootstrap import open_all, to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Overloaded
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import ID_MAX_BYTES
from tests.contracts.order_repository import numbered
from tests.waiting import settle, until, works


class Producer:
    """Confirms messages at once if it confirms any, but the first not before it may go on."""

    is_sending = confirms = True

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.unconfirmed: list[Future] = []
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def send(self, _topic: str, value: bytes, **_: Any) -> Future:
        self.has_begun.set()
        self.may_go_on.wait(10)
        self.done.append(value)
        if self.confirms:
            return Future().success(None)
        self.unconfirmed.append(Future())
        return self.unconfirmed[-1]

    def ask_broker(self, _fresh: float, done: Callable[[Exception | None], None]) -> None:
        self.done.append(b"check")
        done(None)

    def close(self, timeout: float) -> None:
        pass


class Client(KafkaProducerClient):
    def __init__(self, producer: Producer) -> None:
        super().__init__(to_kafka_settings(Settings()), ensures="none")
        self._new = producer

    def _new_producer(self) -> Any:
        return self._new


async def test_a_call_with_many_messages_holds_up_neither_checks_nor_others() -> None:
    producer = Producer()
    messages = [Outgoing(b"%d" % number) for number in range(3 * SENT_AT_ONCE + 1)]
    client = Client(producer)
    async with open_all(client):
        many = asyncio.create_task(client.send("topic", messages))
        await asyncio.to_thread(producer.has_begun.wait, 10)
        another = asyncio.create_task(client.send("topic", [Outgoing(b"another")]))
        await asyncio.sleep(0)
        check = asyncio.create_task(client.check())
        await asyncio.sleep(0)
        producer.may_go_on.set()
        await asyncio.gather(many, another, check)
    assert producer.done.index(b"check") == SENT_AT_ONCE
    assert producer.done.index(b"another") == SENT_AT_ONCE + 1
    assert producer.done[:SENT_AT_ONCE] + producer.done[SENT_AT_ONCE + 2 :] == [
        message.value for message in messages
    ]


@given(st.binary(max_size=2_000))
def test_a_key_has_the_partition_that_others_choose_for_its_beginning(key: bytes) -> None:
    """To hash a megabyte would take them a third of a second."""
    choose = KafkaProducer.DEFAULT_CONFIG["partitioner"]
    assert _DEFAULTS["partitioner"](key, range(6), []) == choose(key[:1_020], range(6), [])


async def test_the_messages_of_many_orders_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = set()

    def noted(order: Order) -> bytes:
        threads.add(threading.current_thread())
        return encode(order)

    monkeypatch.setattr(publisher, "encode", noted)
    producer = Producer()
    producer.may_go_on.set()
    client = Client(producer)
    orders = numbered(SENT_AT_ONCE + 1)
    async with open_all(client):
        await until(lambda: works(client))
        await KafkaPublisher(client, to_kafka_settings(Settings())).publish(orders)
    assert producer.done[1:] == [encode(order) for order in orders]
    assert threading.main_thread() not in threads


async def test_so_many_orders_wait_for_the_brokers_that_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "MOST_GIVEN_UP", 1_000)
    producer = Producer()
    producer.may_go_on.set()
    producer.confirms = False
    client = Client(producer)
    publish = KafkaPublisher(client, to_kafka_settings(Settings())).publish
    async with open_all(client):
        await until(lambda: works(client))
        gives_up = asyncio.create_task(publish(numbered(100)))
        await until(lambda: len(producer.unconfirmed) == 100)
        gives_up.cancel()
        await settle()
        with pytest.raises(Overloaded):
            await publish(numbered(1))
        producer.confirms = True
        for future in producer.unconfirmed:
            future.success(None)
        await settle()
        await publish(numbered(50))
        assert client.given_up == 0


def test_the_key_of_many_dead_letters_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def murmur2(key: bytes) -> int:
        hashed.append(len(key))
        return 7

    monkeypatch.setattr(producer, "murmur2", murmur2)
    for _ in range(1_000):
        assert choose_partition(b"k" * 1_000_000, [0, 1, 2], []) == 1
    assert hashed == [ID_MAX_BYTES]

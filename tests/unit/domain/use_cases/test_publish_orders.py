"""Orders into the topic: of a document, all or none, or made-up ones."""

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.domain.errors import (
    Abandoned,
    Invalid,
    Overloaded,
    TooLarge,
    Unavailable,
    Undecodable,
)
from orders.domain.intake.diagnosis import MAX_FAULTS as MAX_FAULTS_OF_ONE
from orders.domain.intake.reading import Reading, read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.use_cases import publish_orders
from orders.domain.use_cases.publish_orders import (
    MAX_FAULTS,
    SENT_BYTES,
    PublishDocument,
    PublishRandom,
    SendQueue,
)
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order
from tests.waiting import settle, until


def document(uid: str, sm_id: int = 1) -> dict[str, Any]:
    return REFERENCE | {"order_uid": uid, "sm_id": sm_id}


def written(value: object) -> bytes:
    return json.dumps(value).encode()


def sent(topic: MemoryTopic) -> list[tuple[bytes | None, bytes | None]]:
    return [(message.key, message.value) for message in topic.partitions[0]]


@pytest.fixture
def publisher(topic: MemoryTopic) -> MemoryPublisher:
    return MemoryPublisher(topic)


@pytest.fixture
def publish(publisher: MemoryPublisher) -> PublishDocument:
    return PublishDocument(publisher)


class TestPublishDocument:
    async def test_one_order_goes_as_one_message_in_canonical_bytes(
        self, publish: PublishDocument, topic: MemoryTopic
    ) -> None:
        order = the_order(read_document(REFERENCE))
        assert await publish(written(REFERENCE)) == (order,)
        assert sent(topic) == [(order.order_uid.encode(), encode(order))]

    async def test_an_array_goes_in_its_order_one_a_message(
        self, publish: PublishDocument, topic: MemoryTopic
    ) -> None:
        orders = await publish(written([document(uid) for uid in "cab"]))
        assert [order.order_uid for order in orders] == ["c", "a", "b"]
        assert [key for key, _ in sent(topic)] == [b"c", b"a", b"b"]

    async def test_equal_ones_go_once(self, publish: PublishDocument, topic: MemoryTopic) -> None:
        backwards = dict(reversed(document("a").items()))
        orders = await publish(written([document("a"), document("b"), backwards]))
        assert [order.order_uid for order in orders] == ["a", "b"]
        assert len(sent(topic)) == 2

    async def test_headers_go_along(self, publish: PublishDocument, topic: MemoryTopic) -> None:
        await publish(written(REFERENCE), {"x-request-id": "ё"})
        assert topic.partitions[0][0].headers == (("x-request-id", "ё".encode()),)

    @pytest.mark.parametrize("values", [20_000, 200_000])
    async def test_junk_is_told_by_its_first_faults_and_holds_up_nobody(
        self,
        publish: PublishDocument,
        topic: MemoryTopic,
        values: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        threads = []

        def noted(document: bytes, enough: int) -> Reading:
            threads.append(threading.current_thread())
            return read(document, enough)

        monkeypatch.setattr(publish_orders, "read", noted)
        with pytest.raises(Invalid) as caught:
            await publish(b"[" + b"1," * values + b"1]")
        assert len(caught.value.faults) == MAX_FAULTS
        assert "there may be more" in str(caught.value)
        assert sent(topic) == []
        assert threads != [threading.main_thread()]

    async def test_while_a_large_one_is_sent_others_take_no_memory_and_small_ones_are_sent(
        self, publisher: MemoryPublisher, topic: MemoryTopic
    ) -> None:
        begun, confirmed = [], asyncio.Event()

        class Slow(MemoryPublisher):
            async def publish(
                self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
            ) -> None:
                begun.append(len(orders))
                await confirmed.wait()
                await super().publish(orders, headers)

        publish = PublishDocument(Slow(topic))
        large = written([document(f"uid-{n}") for n in range(100)])
        tasks = [asyncio.create_task(publish(large)) for _ in range(2)]
        await until(lambda: begun == [100])
        tasks.append(asyncio.create_task(publish(written(REFERENCE))))
        await until(lambda: begun == [100, 1])
        confirmed.set()
        await asyncio.gather(*tasks)
        assert begun == [100, 1, 100]

    async def test_a_large_one_does_not_wait_for_ever(
        self, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publish_orders, "LONGEST_WAIT_OF_LARGE", 0.01)
        begun, confirmed = asyncio.Event(), asyncio.Event()

        class Frozen(MemoryPublisher):
            async def publish(
                self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
            ) -> None:
                begun.set()
                await confirmed.wait()

        publish = PublishDocument(Frozen(topic))
        large = written([document(f"uid-{n}") for n in range(100)])
        first = asyncio.create_task(publish(large))
        await begun.wait()
        with pytest.raises(Overloaded, match="still being sent"):
            await publish(large)
        confirmed.set()
        assert len(await first) == len(await publish(large)) == 100

    async def test_one_order_of_junk_likewise(self, publish: PublishDocument) -> None:
        with pytest.raises(Invalid) as caught:
            await publish(written(document("a") | {"items": [1] * 50_000}))
        assert len(caught.value.faults) == MAX_FAULTS_OF_ONE
        assert "there may be more" in str(caught.value)

    async def test_all_faults_of_all_orders_are_told_and_nothing_is_sent(
        self, publish: PublishDocument, topic: MemoryTopic
    ) -> None:
        bad = [
            document("a"),
            document("b") | {"sm_id": "x", "entry": 1},
            None,
            document("a", 2),
            document(" "),
        ]
        with pytest.raises(Invalid) as caught:
            await publish(written(bad))
        assert {fault.pointer: fault.rule for fault in caught.value.faults} == {
            "/1/entry": "expected str, got int",
            "/1/sm_id": "expected int, got str",
            "/2": "expected object, got null",
            "/3/order_uid": "stands in this document before, with other content",
            "/4/order_uid": "must be 1 to 255 characters and not blank",
        }
        assert sent(topic) == []

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            (b"[]", "$: must hold at least one order"),
            (b"", "$: must not be empty"),
            (b"null", "$: must not be null"),
            (b"1", "$: expected object or array, got number"),
        ],
    )
    async def test_a_document_without_an_order_is_invalid(
        self, publish: PublishDocument, topic: MemoryTopic, value: bytes, fault: str
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await publish(value)
        assert [str(f) for f in caught.value.faults] == [fault]
        assert not isinstance(caught.value, Undecodable)
        assert sent(topic) == []

    @pytest.mark.parametrize("value", [b"{", b"hello", b'["\xff"]', written(REFERENCE)[:-1]])
    async def test_what_is_not_json_is_undecodable(
        self, publish: PublishDocument, value: bytes
    ) -> None:
        with pytest.raises(Undecodable) as caught:
            await publish(value)
        assert len(caught.value.faults) == 1

    async def test_one_order_too_large_and_nothing_is_sent(
        self, publish: PublishDocument, topic: MemoryTopic
    ) -> None:
        huge = document("b") | {"entry": "x" * MAX_MESSAGE_BYTES}
        with pytest.raises(TooLarge):
            await publish(written([document("a"), huge]))
        assert sent(topic) == []

    async def test_the_topic_away_is_told(
        self, publish: PublishDocument, publisher: MemoryPublisher
    ) -> None:
        publisher.available = False
        with pytest.raises(Unavailable):
            await publish(written(REFERENCE))


class TestSendQueue:
    async def test_so_many_bytes_are_sent_at_a_time_and_who_came_first_goes_first(self) -> None:
        queue, begun, may_end = SendQueue(), list[int](), asyncio.Event()

        async def send(number: int, size: int) -> None:
            async with queue.turn(size):
                begun.append(number)
                await may_end.wait()

        sizes = [SENT_BYTES // 2, SENT_BYTES // 2, SENT_BYTES + 1, 1]
        tasks = [asyncio.create_task(send(number, size)) for number, size in enumerate(sizes)]
        await settle()
        assert begun == [0, 1]
        may_end.set()
        await asyncio.gather(*tasks)
        assert begun == [0, 1, 2, 3]

    async def test_when_much_waits_no_more_is_taken_but_what_is_small(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publish_orders, "LONGEST_WAIT", 0.01)
        queue = SendQueue()

        async def send(size: int) -> None:
            async with queue.turn(size):
                pass

        async with queue.turn(SENT_BYTES):
            waiting = [asyncio.create_task(send(SENT_BYTES)) for _ in range(5)]
            await settle()
            with pytest.raises(Overloaded, match="too many orders wait"):
                await send(10_000)
            with pytest.raises(Overloaded, match="still being sent"):
                await send(1)
            failures = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(failure, Overloaded) for failure in failures)
        await send(SENT_BYTES)

    async def test_what_one_who_has_left_sent_is_not_read_when_its_turn_comes(
        self, publisher: MemoryPublisher, topic: MemoryTopic
    ) -> None:
        publish = PublishDocument(publisher)
        with pytest.raises(Abandoned):
            await publish(written(REFERENCE), has_left=lambda: True)
        assert sent(topic) == []


class TestPublishRandom:
    @pytest.mark.parametrize("amount", [1, 50])
    async def test_what_was_made_is_sent_and_given_back(
        self, publisher: MemoryPublisher, topic: MemoryTopic, amount: int
    ) -> None:
        publish = PublishRandom(RandomOrderGenerator(), publisher)
        orders = await publish(amount, {"x-request-id": "1"})
        assert len(orders) == amount
        assert sent(topic) == [(order.order_uid.encode(), encode(order)) for order in orders]
        assert topic.partitions[0][0].headers == (("x-request-id", b"1"),)

    async def test_many_hold_up_nobody(self, publisher: MemoryPublisher) -> None:
        threads = []

        class Noted(RandomOrderGenerator):
            def generate(self, amount: int) -> Sequence[Order]:
                threads.append(threading.current_thread())
                return super().generate(amount)

        await PublishRandom(Noted(), publisher)(1000)
        assert threads != [threading.main_thread()]

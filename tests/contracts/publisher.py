"""What every publisher keeps to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from orders.domain.errors import TooLarge
from orders.domain.intake.messages import Message
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Publisher
from tests import strategies

ORDER_FILE = Path(__file__).parents[1] / "data" / "order.json"


class PublisherSide(Protocol):
    """The other side of the port: a topic of several partitions that is empty at first."""

    publisher: Publisher

    @abstractmethod
    async def arrived(self) -> list[Message]:
        """All messages of the topic so far, in order within each partition."""


def numbered(order: Order, amount: int) -> list[Order]:
    return [msgspec.structs.replace(order, order_uid=f"uid-{n}") for n in range(amount)]


def of_size(order: Order, size: int) -> Order:
    """An order whose canonical bytes are so many."""
    missing = size - len(encode(order))
    return msgspec.structs.replace(order, entry=order.entry + "x" * missing)


class PublisherContract:
    @pytest.fixture
    def side(self) -> PublisherSide:
        raise NotImplementedError

    @pytest.fixture
    def order(self) -> Order:
        return read(ORDER_FILE.read_bytes()).accepted[0].order

    async def test_sends_the_canonical_bytes_with_the_uid_as_key(
        self, side: PublisherSide, order: Order
    ) -> None:
        await side.publisher.publish([order])
        [message] = await side.arrived()
        assert message.value == encode(order)
        assert message.key == order.order_uid.encode()
        assert message.headers == ()

    async def test_headers_go_along_with_every_message(
        self, side: PublisherSide, order: Order
    ) -> None:
        await side.publisher.publish(numbered(order, 3), {"x-request-id": "r-1", "Имя": "да"})
        expected = (("x-request-id", b"r-1"), ("Имя", "да".encode()))
        assert [message.headers for message in await side.arrived()] == [expected] * 3

    async def test_any_uid_is_a_key(self, side: PublisherSide, order: Order) -> None:
        uids = ["/", "..", " ", "заказ", "😀", "a\nb", "u" * 255]
        await side.publisher.publish(
            [msgspec.structs.replace(order, order_uid=uid) for uid in uids]
        )
        assert {message.key for message in await side.arrived()} == {u.encode() for u in uids}

    async def test_no_orders_no_messages(self, side: PublisherSide) -> None:
        await side.publisher.publish([])
        assert await side.arrived() == []

    async def test_many_at_once_in_order_within_a_partition(
        self, side: PublisherSide, order: Order
    ) -> None:
        await side.publisher.publish(numbered(order, 1_000))
        messages = await side.arrived()
        assert len(messages) == 1_000
        for partition in {message.origin.partition for message in messages}:
            found = [
                int((m.key or b"").removeprefix(b"uid-"))
                for m in messages
                if m.origin.partition == partition
            ]
            assert found == sorted(found)

    async def test_one_uid_stays_in_one_partition(self, side: PublisherSide, order: Order) -> None:
        for _ in range(5):
            await side.publisher.publish([order])
        assert len({message.origin.partition for message in await side.arrived()}) == 1

    async def test_an_order_of_a_million_bytes_is_taken(
        self, side: PublisherSide, order: Order
    ) -> None:
        large = of_size(order, 1_000_000)
        await side.publisher.publish([large])
        [message] = await side.arrived()
        assert message.value == encode(large)

    async def test_a_larger_one_is_refused_and_nothing_is_sent(
        self, side: PublisherSide, order: Order
    ) -> None:
        orders = numbered(order, 3)
        orders[1] = of_size(orders[1], 1_048_600)
        with pytest.raises(TooLarge):
            await side.publisher.publish(orders)
        assert await side.arrived() == []

    async def test_headers_count_for_the_size(self, side: PublisherSide, order: Order) -> None:
        with pytest.raises(TooLarge):
            await side.publisher.publish([of_size(order, 1_048_000)], {"x": "y" * 1_000})
        assert await side.arrived() == []

    async def test_what_comes_out_is_what_went_in(self, side: PublisherSide) -> None:
        sent: list[Order] = []

        @settings(database=None, suppress_health_check=list(HealthCheck))
        @given(strategies.orders())
        def collect(order: Order) -> None:
            sent.append(order)

        collect()
        await side.publisher.publish(sent)
        came = [read(m.value).accepted[0].order for m in await side.arrived()]
        assert sorted(came, key=encode) == sorted(sent, key=encode)

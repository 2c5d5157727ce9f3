"""What every sink of orders keeps to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from typing import Protocol

import pytest

from orders.domain.intake.reading import read
from orders.domain.order.document import StoredOrder
from orders.domain.ports import OrderSink
from tests.builders import order_bytes


class SinkSide(Protocol):
    """The other side of the port."""

    sink: OrderSink

    @abstractmethod
    def exported(self) -> list[str] | None:
        """The order_uids that were exported; None if nothing was."""


def stored(order_uid: str) -> StoredOrder:
    return StoredOrder.of(read(order_bytes(order_uid)).accepted[0].order)


class OrderSinkContract:
    @pytest.fixture
    def side(self) -> SinkSide:
        raise NotImplementedError

    async def test_has_all_after_the_commit(self, side: SinkSide) -> None:
        await side.sink.write([stored("a"), stored("b")])
        await side.sink.write([stored("заказ 😀")])
        assert side.exported() is None
        await side.sink.commit()
        assert side.exported() == ["a", "b", "заказ 😀"]

    async def test_has_nothing_after_a_discard(self, side: SinkSide) -> None:
        await side.sink.write([stored("a")])
        await side.sink.discard()
        await side.sink.discard()
        assert side.exported() is None

    async def test_a_discard_after_the_commit_changes_nothing(self, side: SinkSide) -> None:
        await side.sink.write([stored("a")])
        await side.sink.commit()
        await side.sink.discard()
        assert side.exported() == ["a"]

    async def test_an_export_of_nothing_is_there(self, side: SinkSide) -> None:
        await side.sink.commit()
        assert side.exported() == []

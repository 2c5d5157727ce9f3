"""Send orders to the topic: those of a document, all or none, or made-up ones."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from orders.domain.errors import Abandoned, Invalid, Undecodable
from orders.domain.intake.diagnosis import MAX_FAULTS as MAX_FAULTS_OF_ONE
from orders.domain.intake.faults import Fault
from orders.domain.intake.reading import Reading, read, read_typed
from orders.domain.order.model import Order
from orders.domain.ports import OrderGenerator, Publisher

MAX_FAULTS = 1_000
"""Faults after which a document is not read any further: others wait for it. All those of junk, ten
million bytes of ``[1,1,...``, would take minutes to find and gigabytes to hold."""

_LARGE = 65_536
"""Bytes from which a document is read in a thread, since even a good one takes milliseconds. One
with faults takes far longer, and is read there whatever its size."""


class PublishDocument:
    """Check a document (one order, or an array of them) as a whole and publish its orders."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        # More threads would take time from the event loop.
        self._one_large = asyncio.Semaphore(1)  # until it is sent: it may take 100 MB by then
        self._one_faulty = asyncio.Semaphore(1)

    async def __call__(
        self,
        document: bytes,
        headers: Mapping[str, str] | None = None,
        has_left: Callable[[], bool] = lambda: False,
    ) -> tuple[Order, ...]:
        """Publish; the orders come back in the order of the document, equal ones once.

        ``has_left`` says whether the caller has left. Then a document that is read in a thread is
        neither checked nor published.

        Raises:
            Abandoned: the caller has left before anything was published.
            Undecodable: the document is not JSON in UTF-8.
            Invalid: it breaks rules; ``faults`` lists all of them (of junk, about the first
                ``MAX_FAULTS``), and nothing was published.
            TooLarge: an order is larger than the topic accepts; nothing was published.
            Unavailable: not all were confirmed; publishing the document again is safe.
        """
        if len(document) > _LARGE:
            async with self._one_large:
                orders = await _orders_in(document, has_left)
                await self._publisher.publish(orders, headers)
            return orders
        reading = read_typed(document)
        if reading is not None:
            orders = _valid_orders(reading)
        else:
            async with self._one_faulty:
                orders = await _orders_in(document, has_left)
        await self._publisher.publish(orders, headers)
        return orders


class PublishRandom:
    """Make up orders and publish them."""

    def __init__(self, generator: OrderGenerator, publisher: Publisher) -> None:
        self._generator = generator
        self._publisher = publisher
        self._one_in_thread = asyncio.Semaphore(1)  # a thousand take tens of milliseconds

    async def __call__(
        self, amount: int, headers: Mapping[str, str] | None = None
    ) -> Sequence[Order]:
        """Publish ``amount`` new orders and return them. Raises Unavailable."""
        async with self._one_in_thread:
            orders = await asyncio.to_thread(self._generator.generate, amount)
        await self._publisher.publish(orders, headers)
        return orders


async def _orders_in(document: bytes, has_left: Callable[[], bool]) -> tuple[Order, ...]:
    if has_left():
        raise Abandoned("the client has disconnected")
    orders = await asyncio.to_thread(lambda: _valid_orders(read(document, MAX_FAULTS)))
    if has_left():
        raise Abandoned("the client has disconnected")
    return orders


def _valid_orders(reading: Reading) -> tuple[Order, ...]:
    faults = [fault for refused in reading.refused for fault in refused.faults]
    if any(refused.code == "undecodable" for refused in reading.refused):
        raise Undecodable("the document is not JSON in UTF-8", faults)
    unique: dict[str, Order] = {}
    for index, order in ((a.index, a.order) for a in reading.accepted):
        if unique.setdefault(order.order_uid, order) != order:
            path = (index, "order_uid")
            faults.append(Fault(path, "stands in this document before, with other content"))
    if not faults and not unique:
        faults.append(Fault((), "must hold at least one order"))
    if faults:
        told_all = len(faults) < MAX_FAULTS and all(
            len(refused.faults) < MAX_FAULTS_OF_ONE for refused in reading.refused
        )
        more = "" if told_all else "; these are the first of its faults, there may be more"
        raise Invalid(f"the document breaks rules{more}", faults)
    return tuple(unique.values())

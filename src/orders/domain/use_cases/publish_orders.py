"""Send orders to the topic: those of a document, all or none, or made-up ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from orders.domain.errors import Abandoned, Invalid, Overloaded, TooLarge, Undecodable
from orders.domain.intake.diagnosis import MAX_FAULTS as MAX_FAULTS_OF_ONE
from orders.domain.intake.faults import Fault
from orders.domain.intake.reading import ORDER_TOO_LARGE, Reading, read, read_typed
from orders.domain.order.model import Order
from orders.domain.ports import OrderGenerator, Publisher
from orders.domain.use_cases.turns import turn_within

MAX_FAULTS = 1_000
"""Faults after which a document is not read any further: others wait for it. All those of junk, ten
million bytes of ``[1,1,...``, would take minutes to find and gigabytes to hold."""

_LARGE = 65_536
"""Bytes from which a document is read in a thread, since even a good one takes milliseconds. One
with faults takes far longer, and is read there whatever its size."""

SENT_BYTES = 4 * 2**20
"""Bytes of documents that are sent at a time. Their orders take ten times as much memory; those of
200 bytes, fifty times."""

MOST_QUEUED_BYTES = 4 * SENT_BYTES
"""Bytes of documents that wait until others are sent, besides those of ``_FEW_BYTES``."""

_FEW_BYTES = 8_192
"""Bytes of a document that may wait however many do: whoever sends little is not kept out by those
who send much."""

LONGEST_WAIT = 2.5
"""Seconds that a document waits for others."""

LONGEST_WAIT_OF_LARGE = 30.0
"""Seconds that a large document waits for other large ones: each may take seconds itself."""

RANDOM_BYTES = 1_000
"""Bytes for which a random order counts."""

_STILL_SENT = "orders that came before are still being sent"


class SendQueue:
    """Lets documents of ``SENT_BYTES`` be sent at a time; others wait in order of their arrival."""

    def __init__(self) -> None:
        self._free = SENT_BYTES
        self._freed = asyncio.Event()
        self._first = asyncio.Lock()
        self._queued = 0

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait for room for ``size`` bytes, and take it during the block.

        Raises:
            Overloaded: too much waits already, or there was no room within ``LONGEST_WAIT``.
        """
        if size > _FEW_BYTES and self._queued > MOST_QUEUED_BYTES:
            raise Overloaded("too many orders wait to be sent")
        self._queued += size
        try:
            async with asyncio.timeout(LONGEST_WAIT), self._first:
                while self._free < min(size, SENT_BYTES):
                    self._freed.clear()
                    await self._freed.wait()
                self._free -= size
        except TimeoutError:
            raise Overloaded(_STILL_SENT) from None
        finally:
            self._queued -= size
        try:
            yield
        finally:
            self._free += size
            self._freed.set()


class PublishDocument:
    """Check a document (one order, or an array of them) as a whole and publish its orders."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        # More threads would take time from the event loop.
        self._one_large = asyncio.Semaphore(1)  # until it is sent: it may take 100 MB by then
        self._one_faulty = asyncio.Semaphore(1)
        self._small = SendQueue()

    async def __call__(
        self,
        document: bytes,
        headers: Mapping[str, str] | None = None,
        has_left: Callable[[], bool] = lambda: False,
    ) -> tuple[Order, ...]:
        """Publish; the orders come back in the order of the document, equal ones once.

        ``has_left`` says whether the caller has left. Then a document that had to wait is neither
        checked nor published.

        Raises:
            Abandoned: the caller has left before anything was published.
            Undecodable: the document is not JSON in UTF-8.
            Invalid: it breaks rules; ``faults`` lists all of them (of junk, about the first
                ``MAX_FAULTS``), and nothing was published.
            TooLarge: an order is larger than is stored, or than the topic accepts; nothing was
                published.
            Overloaded: too many others are being sent; nothing was published.
            Unavailable: not all were confirmed; publishing the document again is safe.
        """
        if len(document) > _LARGE:
            turn = self._one_large
        else:
            async with self._small.turn(len(document)):
                _check_caller(has_left)
                reading = read_typed(document)
                if reading is not None:
                    orders = _valid_orders(reading)
                    await self._publisher.publish(orders, headers)
                    return orders
            turn = self._one_faulty
        async with turn_within(LONGEST_WAIT_OF_LARGE, _STILL_SENT, turn):
            _check_caller(has_left)
            orders = await asyncio.to_thread(lambda: _valid_orders(read(document, MAX_FAULTS)))
            _check_caller(has_left)
            await self._publisher.publish(orders, headers)
            return orders


class PublishRandom:
    """Make up orders and publish them."""

    def __init__(self, generator: OrderGenerator, publisher: Publisher) -> None:
        self._generator = generator
        self._publisher = publisher
        self._one_in_thread = asyncio.Semaphore(1)  # a thousand take tens of milliseconds
        self._queue = SendQueue()

    async def __call__(
        self, amount: int, headers: Mapping[str, str] | None = None
    ) -> Sequence[Order]:
        """Publish ``amount`` new orders and return them. Raises Unavailable."""
        async with self._queue.turn(amount * RANDOM_BYTES):
            async with self._one_in_thread:
                orders = await asyncio.to_thread(self._generator.generate, amount)
            await self._publisher.publish(orders, headers)
        return orders


def _check_caller(has_left: Callable[[], bool]) -> None:
    if has_left():
        raise Abandoned("the client has disconnected")


def _valid_orders(reading: Reading) -> tuple[Order, ...]:
    faults = [fault for refused in reading.refused for fault in refused.faults]
    if any(refused.code == "undecodable" for refused in reading.refused):
        raise Undecodable("the document is not JSON in UTF-8", faults)
    if any(fault.rule == ORDER_TOO_LARGE for fault in faults):
        raise TooLarge("an order is larger than this service stores")
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

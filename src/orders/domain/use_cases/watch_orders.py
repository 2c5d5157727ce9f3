"""Tells many listeners of what is stored and forgotten, by one poll for all of them."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter

from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.events import OrderEvent, Position
from orders.domain.ports import OrderEvents

INTERVAL = 0.03
"""Seconds between two polls while anybody listens."""

PAGE = 500
"""Events that are read at once."""

RECENT = 5_000
"""Events that are kept for the listeners; who is further behind reads from the store."""

READING_AT_ONCE = 2
"""Listeners that read from the store at the same time."""

_position = attrgetter("position")


class WatchOrders:
    """Follows the events of the store while there are listeners.

    Memory does not grow with slow listeners: all share the recent events, and each has a position.
    """

    def __init__(self, events: OrderEvents, max_listeners: int, recent: int = RECENT) -> None:
        self._events = events
        self._max_listeners = max_listeners
        self._kept = recent
        self._listeners = 0
        self._wanted = asyncio.Event()
        self._arrived = asyncio.Event()
        self._turns = asyncio.Semaphore(READING_AT_ONCE)
        self._recent: list[OrderEvent] = []  # all between these two
        self._since: Position | None = None
        self._position: Position | None = None
        self._is_doubted = False  # the store was down, and may have lost its latest transactions
        self.losses = 0

    async def open(self, after: Position | None = None) -> "Listener":
        """Begin to listen after a position, or now; the listener must be closed.

        Raises:
            Unavailable: the store is down, or there are too many listeners.
            Unsupported: the store has no events.
        """
        if self._listeners >= self._max_listeners:
            raise Unavailable("too many clients listen to events")
        self._listeners += 1
        try:
            is_lost = False
            if self._position is None or (after is not None and after > self._position):
                latest = await self._events.latest_position()
                is_lost = after is not None and after > latest
                if self._position is None:
                    self._since = self._position = latest
                    self._wanted.set()
            start = self._position if after is None or is_lost else after
            return Listener(self, start, is_lost=is_lost)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Count a listener less; the last one ends the polling."""
        self._listeners -= 1
        if self._listeners == 0:
            self._wanted.clear()
            self._since = self._position = None
            self._recent = []

    async def after(self, position: Position, losses: int) -> Sequence[OrderEvent]:
        """Wait for events after a position, for as long as it takes.

        Raises Unavailable if the store has lost events since there were so many ``losses``.
        """
        while True:
            if losses != self.losses:
                raise Unavailable("the store has lost its latest events")
            arrived, since = self._arrived, self._since
            if since is not None and position >= since:
                if found := self._recent[bisect_right(self._recent, position, key=_position) :]:
                    return found[:PAGE]
                await arrived.wait()
                continue
            try:
                async with self._turns:
                    found = list(await self._events.events(position, PAGE))
            except OrdersError:  # the health checks say why
                await asyncio.sleep(1)
                continue
            if found:
                return found
            if since is not None:
                position = since  # nothing can become visible before it any more

    async def poll(self) -> None:
        """Read what is new. Raises Unavailable."""
        if self._is_doubted:
            await self._check()
        while (position := self._position) is not None:
            self._is_doubted = True
            found = await self._events.events(position, PAGE)
            self._is_doubted = False
            if self._position is not position or not found:
                return  # the last listener has left meanwhile, or nothing is new
            self._recent += found
            excess = len(self._recent) - self._kept
            if excess > 0:
                self._since = self._recent[excess - 1].position
                del self._recent[:excess]
            self._position = found[-1].position
            self._wake()

    async def _check(self) -> None:
        """Begin anew if the store is at an earlier position, as after a failover with a loss."""
        latest = await self._events.latest_position()
        if self._position is not None and latest < self._position:
            self._since = self._position = latest
            self._recent = []
            self.losses += 1
            self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    async def run(self) -> None:
        """Poll while there are listeners, until cancelled."""
        while True:
            await self._wanted.wait()
            with suppress(OrdersError):  # the health checks say why
                await self.poll()
            await asyncio.sleep(INTERVAL)


class Listener:
    """Reads events at its own pace.

    Attributes:
        position: after which it reads.
        is_lost: whether the position that it asked for is not one of this store, as after the store
            lost its latest transactions: it may have missed events.
    """

    def __init__(self, orders: WatchOrders, position: Position, *, is_lost: bool) -> None:
        self._orders = orders
        self.position = position
        self.is_lost = is_lost
        self._losses = orders.losses

    async def next(self) -> Sequence[OrderEvent]:
        """Wait for the next events; at least one. Cancelling it misses none.

        Raises Unavailable if the store has lost events.
        """
        found = await self._orders.after(self.position, self._losses)
        self.position = found[-1].position
        return found

    def close(self) -> None:
        """Listen no more."""
        self._orders.leave()

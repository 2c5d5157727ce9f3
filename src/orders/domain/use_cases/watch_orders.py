"""Tells many listeners of what is stored and forgotten, by one poll for all of them."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from operator import attrgetter
from time import monotonic

from orders.domain.errors import OrdersError, Overloaded, Unavailable
from orders.domain.order.events import OrderEvent, Position
from orders.domain.order.tombstones import RecentTombstones, Tombstone
from orders.domain.ports import OrderEvents

INTERVAL = 0.02
"""Seconds between two polls while anybody listens."""

HEARTBEAT = 15.0
"""Seconds without an event after which listeners are given none: proxies close what is silent."""

PAGE = 500
"""Events that are read at once."""

RECENT = 5_000
"""Events that are kept for the listeners; who is further behind reads from the store."""

DELIVERED_AT_ONCE = 100
"""Listeners that get an event before other tasks have their turn."""

Deliver = Callable[[Sequence[OrderEvent]], bool]
"""Takes events without waiting, or returns False. All listeners are given the same object.

It has no events where there were none for ``HEARTBEAT`` seconds."""

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
        self._waiting: dict[Listener, tuple[Deliver, asyncio.Future[bool]]] = {}
        # Of listeners that read a page, from the store or of the recent events: others look up
        # orders by the same connections, in the same event loop.
        self._turn = asyncio.Lock()
        self._querying = asyncio.Lock()
        self._next_query: asyncio.Task[Position] | None = None
        self._recent: list[OrderEvent] = []  # all between these two
        self._since: Position | None = None
        self._position: Position | None = None
        self._delivered_at = 0.0  # by ``monotonic``
        self._tombstones = RecentTombstones()
        self._is_doubted = False  # the store was down, and may have lost its latest transactions
        self.losses = 0

    async def open(self, after: Position | None = None) -> "Listener":
        """Begin to listen after a position, or now; the listener must be closed.

        Raises:
            Unavailable: the store is down.
            Overloaded: there are too many listeners.
            Unsupported: the store has no events.
        """
        if self._listeners >= self._max_listeners:
            raise Overloaded("too many clients listen to events")
        self._listeners += 1
        try:
            latest = self._position
            if latest is None or (after is not None and after > latest):
                latest = await self._latest()
                if self._position is None:
                    self._since = self._position = latest
                    self._delivered_at = monotonic()
                    self._wanted.set()
            is_lost = after is not None and after > latest
            start = latest if after is None or is_lost else after
            return Listener(self, start, is_lost=is_lost)
        except BaseException:
            self.leave()
            raise

    async def _latest(self) -> Position:
        """Return the latest position of the store, by one query for all who ask before it begins.

        Thousands may open at a time. The query must not have begun before: a listener that comes
        from another process may know of a later position.
        """
        if self._next_query is None:
            self._next_query = asyncio.get_running_loop().create_task(
                self._query_latest(), context=Context()
            )
        return await asyncio.shield(self._next_query)  # who leaves does not cancel it for others

    async def _query_latest(self) -> Position:
        async with self._querying:
            self._next_query = None
            return await self._events.latest_position()

    def leave(self) -> None:
        """Count a listener less; the last one ends the polling."""
        self._listeners -= 1
        if self._listeners == 0:
            self._wanted.clear()
            self._since = self._position = None
            self._recent = []

    async def after(self, listener: "Listener", deliver: Deliver) -> Sequence[OrderEvent]:
        """See ``Listener.next``."""
        if listener.position != self._position:
            async with self._turn:
                await asyncio.sleep(0)  # others have their turn: a page takes a while to encode
        while True:
            if listener.losses != self.losses:
                raise Unavailable("the store has lost its latest events")
            position, since = listener.position, self._since
            if since is not None and position >= since:
                if found := self._recent[bisect_right(self._recent, position, key=_position) :]:
                    return found[:PAGE]
                if not await self._wait(listener, deliver):
                    return ()
                continue
            try:
                async with self._turn:
                    found, latest = await self._read(position)
            except OrdersError:  # the health checks say why
                await asyncio.sleep(1)
                continue
            if found:
                return found
            # At the end nothing can become visible before ``since`` any more.
            is_end = latest == position
            listener.position = since if is_end and since is not None else latest

    async def _wait(self, listener: "Listener", deliver: Deliver) -> bool:
        """Wait until something is not delivered; returns False for the lack of events."""
        woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[listener] = deliver, woken
        try:
            return await woken
        finally:
            del self._waiting[listener]

    async def poll(self) -> None:
        """Read what is new. Raises Unavailable."""
        if self._is_doubted:
            await self._check()
        while (position := self._position) is not None:
            self._is_doubted = True
            found, latest = await self._read(position)
            self._is_doubted = False
            if self._position is not position or latest == position:
                return  # the last listener has left meanwhile, or nothing is new
            self._drop({event.order_uid for event in found if event.summary is None})
            self._recent += found
            excess = len(self._recent) - self._kept
            if excess > 0:
                self._since = self._recent[excess - 1].position
                del self._recent[:excess]
            self._position = latest
            if found:
                await self._deliver(position, found)

    async def _read(self, after: Position) -> tuple[list[OrderEvent], Position]:
        """Return a page without orders forgotten since it was read, and the position of its end.

        Raises:
            Unavailable: of a page of a standby, nobody could say which are forgotten.
        """
        page = await self._events.events(after, PAGE)
        if page.events and page.is_of_standby:
            self._tombstones.require(page.as_of)
        found = [
            event
            for event in page.events
            if event.summary is None
            or not self._tombstones.forgotten_since(event.order_uid, page.as_of)
        ]
        return found, page.events[-1].position if page.events else after

    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``LocalCache.forget``: their own events may come much later."""
        if not self._tombstones.note(tombstones, since):
            self._since, self._recent = self._position, []  # what is resumed from is in the store
        self._drop({tombstone.order_uid for tombstone in tombstones})

    def _drop(self, order_uids: set[str]) -> None:
        """Keep no summary of these orders for those who resume from before."""
        if order_uids:
            self._recent = [
                event
                for event in self._recent
                if event.summary is None or event.order_uid not in order_uids
            ]

    async def _check(self) -> None:
        """Begin anew if the store is at an earlier position, as after a failover with a loss."""
        latest = await self._events.latest_position()
        if self._position is not None and latest < self._position:
            self._since = self._position = latest
            self._recent = []
            self.losses += 1
            for _, woken in self._waiting.values():
                if not woken.done():
                    woken.set_result(True)

    async def _deliver(self, before: Position, found: Sequence[OrderEvent]) -> None:
        """Deliver to those who wait after ``before`` at the latest, and wake the others.

        A task for each would take several times as long (docs/performance.md).
        """
        self._delivered_at = monotonic()
        latest = found[-1].position if found else before
        for number, (listener, (deliver, woken)) in enumerate([*self._waiting.items()], start=1):
            if not woken.done():  # else it has left, or reads by itself
                if listener.position <= before and deliver(found):
                    listener.position = latest
                else:
                    woken.set_result(bool(found))
            if number % DELIVERED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def run(self) -> None:
        """Poll while there are listeners, until cancelled."""
        while True:
            await self._wanted.wait()
            with suppress(OrdersError):  # the health checks say why
                await self.poll()
            if self._position and monotonic() - self._delivered_at > HEARTBEAT:
                await self._deliver(self._position, ())
            await asyncio.sleep(INTERVAL)


class Listener:
    """Reads events at its own pace.

    Attributes:
        position: after which it reads.
        is_lost: whether the position that it asked for is not one of this store, as after the store
            lost its latest transactions: it may have missed events.
        losses: how often the store had lost its latest events when this one was opened.
    """

    def __init__(self, orders: WatchOrders, position: Position, *, is_lost: bool) -> None:
        self._orders = orders
        self.position = position
        self.is_lost = is_lost
        self.losses = orders.losses

    async def next(self, deliver: Deliver = lambda _: False) -> Sequence[OrderEvent]:
        """Wait for the next events that ``deliver`` does not take, or the lack of any.

        Cancelling it misses none. Raises Unavailable if the store has lost events.
        """
        found = await self._orders.after(self, deliver)
        if found:
            self.position = found[-1].position
        return found

    def close(self) -> None:
        """Listen no more."""
        self._orders.leave()

"""Many callers, few questions: what is asked for meanwhile goes along with the next question."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import Context
from itertools import islice
from typing import cast

from orders.domain.errors import OrdersError, Unavailable

Ask = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]
"""Looks these up, each named once; gives what there is of them, or raises."""

_CLOSED = "look-ups have ended"
_NO_TURN = "too many look-ups wait for others that are slow"


class Flights:
    """Takes callers along in questions, of which only a few are out at a time: "flights".

    A lone caller's flight leaves at once. While all that may be out are out, callers gather, and go
    with the next. No uid is in two flights at a time. Who asks for one that is under way takes what
    that flight brings; if it brings nothing, he goes with the next all the same, for the order may
    have been stored after that flight had left and before he asked.

    Flights are tasks of their own: a caller that is cancelled takes nothing away from others.

    Args:
        ask: what a flight does.
        at_once: most flights out at a time.
        most: most uids in a flight.
        patience: seconds that a caller waits for a flight to leave, and half as many at most more.
    """

    def __init__(self, ask: Ask, *, at_once: int, most: int, patience: float = 2.5) -> None:
        self._ask = ask
        self._at_once = at_once
        self._most = most
        self._patience = patience
        self._waiting: dict[str, list[_Caller]] = {}
        self._late: dict[str, list[_Caller]] = {}  # has a key for each uid that is in a flight
        self._lanes: set[asyncio.Task[None]] = set()
        self._boarding = False  # a lane is about to begin
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(self) -> None:
        """Take callers, as from the beginning."""
        self._closed = False

    async def close(self) -> None:
        """End all flights; who waits is told so, and so is who comes later."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        lanes = tuple(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        self._boarding = False
        _fail(self._waiting.values(), Unavailable(_CLOSED))
        self._waiting.clear()

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """What there is of these orders; none is told to be missing by a flight that left before.

        Raises:
            Unavailable: a flight has failed so, or none left in time.
            OrdersError: a flight has failed otherwise; that failure is the cause.
        """
        uids = dict.fromkeys(order_uids)
        if not uids:
            return {}
        if self._closed:
            raise Unavailable(_CLOSED)
        caller = _Caller(len(uids))
        for uid in uids:
            if uid in self._late:
                self._late[uid].append(caller)
            else:
                self._wait(uid, (caller,))
        await caller.done
        failure = caller.failure
        # One of his own: raised by many tasks, the same one would gather the traces of all.
        if isinstance(failure, Unavailable):
            raise Unavailable(str(failure), failure.since) from failure
        if failure is not None:
            raise OrdersError("a look-up has failed") from failure
        return caller.found

    def _wait(self, uid: str, callers: Collection["_Caller"]) -> None:
        """Have them wait for a flight that is yet to leave."""
        waiting = self._waiting.get(uid)
        if waiting is None:
            self._waiting[uid] = list(callers)
        else:
            waiting.extend(callers)
        if not self._boarding:
            self._board()

    def _board(self) -> None:
        """Begin a lane, or see to it that nobody waits too long for one."""
        loop = asyncio.get_running_loop()
        if len(self._lanes) < self._at_once:
            # It begins after what else happens in this turn of the loop, and takes that along. In a
            # context of its own: its log lines are not those of the first caller.
            lane = loop.create_task(self._lane(), context=Context())
            self._boarding = True
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)  # of one that was cancelled unbegun
        elif self._watch is None:
            self._watch = loop.call_later(self._patience / 2, self._look)

    async def _lane(self) -> None:
        """One flight after another, as long as somebody waits."""
        try:
            while self._waiting:
                self._boarding = False
                await self._fly()
            self._boarding = False
        finally:  # not left to the callback, which runs a turn later: who asks meanwhile would wait
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _fly(self) -> None:
        aboard = {uid: self._waiting.pop(uid) for uid in tuple(islice(self._waiting, self._most))}
        self._late.update((uid, []) for uid in aboard)
        if self._waiting:
            self._board()
        found: Mapping[str, bytes] = {}
        failure: Exception | None = Unavailable(_CLOSED)
        try:
            found = await self._ask(tuple(aboard))
            failure = None
        except Exception as error:  # noqa: BLE001, the callers deal with it
            failure = error
        finally:
            late = {uid: self._late.pop(uid) for uid in aboard}
            if failure is not None:
                _fail(aboard.values(), failure)
                _fail(late.values(), failure)
            else:
                self._land(aboard, late, found)

    def _land(
        self,
        aboard: Mapping[str, list["_Caller"]],
        late: Mapping[str, list["_Caller"]],
        found: Mapping[str, bytes],
    ) -> None:
        for uid, callers in aboard.items():
            document = found.get(uid)
            for caller in callers:
                caller.tell(uid, document)
            if document is None and late[uid]:
                self._wait(uid, late[uid])
                continue
            for caller in late[uid]:
                caller.tell(uid, document)

    def _look(self) -> None:
        """Give up those who have waited for too long."""
        self._watch = None
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._patience
        for uid, callers in tuple(self._waiting.items()):
            _fail([[c for c in callers if c.asked <= limit]], Unavailable(_NO_TURN))
            self._waiting[uid] = [c for c in callers if not c.done.done()]
            if not self._waiting[uid]:
                del self._waiting[uid]
        if self._waiting:
            self._watch = loop.call_later(self._patience / 2, self._look)


class _Caller:
    """Somebody who waits for answers about some uids."""

    __slots__ = ("asked", "done", "failure", "found", "left")

    def __init__(self, uids: int) -> None:
        loop = asyncio.get_running_loop()
        self.asked = loop.time()
        # Not the failure's own: of a caller that was cancelled nobody would retrieve it.
        self.done: asyncio.Future[None] = loop.create_future()
        self.failure: Exception | None = None
        self.found: dict[str, bytes] = {}
        self.left = uids

    def tell(self, uid: str, document: bytes | None) -> None:
        """One answer; the last one wakes him."""
        if document is not None:
            self.found[uid] = document
        self.left -= 1
        if not self.left:
            self.wake()

    def wake(self) -> None:
        """Have him go on, unless he did already or was cancelled."""
        if not self.done.done():
            self.done.set_result(None)


def _fail(many: Collection[Collection[_Caller]], failure: Exception) -> None:
    for callers in many:
        for caller in callers:
            caller.failure = failure
            caller.wake()

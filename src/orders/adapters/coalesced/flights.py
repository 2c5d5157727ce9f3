"""Many callers, few questions: what is asked for meanwhile goes along with the next question."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import chain, islice
from typing import Optional, cast

from orders.adapters.coalesced.callers import (
    Aboard,
    Caller,
    Flight,
    as_own,
    fail_all,
    tell_all,
)
from orders.domain.errors import Unavailable

Ask = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes | Exception]]]
"""Looks these up, each named once; gives what there is of them, and what failed, or raises."""

_CLOSED = "look-ups have ended"
_NO_TURN = "too many look-ups wait for others that are slow"


class Flights:
    """Takes callers along in questions, of which only a few are out at a time: "flights".

    A lone caller's flight leaves at once. While all that may be out are out, callers gather, and go
    with the next. No uid is in two flights at a time. Who asks for one that is under way takes what
    that flight brings; if it brings nothing, he goes with the next all the same, for the order may
    have been stored after that flight had left and before he asked.

    A flight that takes long, as on a connection that has stalled, holds up nobody but its own
    callers: another may leave in its place, for what it was to bring as well.

    Flights are tasks of their own: a caller that is cancelled takes nothing away from others.

    Args:
        ask: what a flight does.
        at_once: most flights out at a time.
        most: most uids in a flight.
        patience: seconds that a caller waits for a flight to leave, and half as many at most more;
            anew where he has to go with another one.
        slow: seconds from which on a flight takes long.
        spare: most flights that may leave in place of such ones.
        on_slow: called when one begins to take long.
        onward: where those go on to for whom a flight from here has brought nothing.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        at_once: int,
        most: int,
        patience: float = 2.5,
        slow: float = 0.5,
        spare: int = 4,
        on_slow: Callable[[], None] = lambda: None,
        onward: Optional["Flights"] = None,
    ) -> None:
        self._ask = ask
        self._at_once = at_once
        self._most = most
        self._patience = patience
        self._slow = slow
        self._spare = spare
        self._on_slow = on_slow
        self._onward = onward
        self._waiting: dict[str, list[Caller]] = {}
        self._out: Flight = {}  # has a key for each uid that is in a flight that is not slow
        self._slow_ones: list[Flight] = []
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
        fail_all(self._waiting.values(), Unavailable(_CLOSED))
        self._waiting.clear()

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """What there is of these orders; none is told to be missing by a flight that left before.

        Raises:
            Unavailable: a flight has failed so, or none left in time.
            OrdersError: a flight has failed otherwise; that failure is the cause.
        """
        if self._closed:
            raise Unavailable(_CLOSED)
        loop = asyncio.get_running_loop()
        now = loop.time()
        callers = {uid: Caller(loop.create_future(), now) for uid in order_uids}
        for uid, caller in callers.items():
            self._join(uid, (caller,))
        found = {}
        for uid, caller in callers.items():
            told = await caller.answer
            if isinstance(told, bytes):
                found[uid] = told
            elif told is not None:
                raise as_own(told) from told
        return found

    def _join(self, uid: str, callers: Iterable[Caller]) -> None:
        """Have them wait for the flight that has this uid, or for one that is yet to leave."""
        out = self._out.get(uid)
        if out is None:
            self._wait(uid, callers)
        else:
            out.late.extend(callers)

    def _wait(self, uid: str, callers: Iterable[Caller]) -> None:
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
        if self._quick < self._at_once and len(self._lanes) < self._at_once + self._spare:
            # It begins after what else happens in this turn of the loop, and takes that along. In a
            # context of its own: its log lines are not those of the first caller.
            lane = loop.create_task(self._lane(), context=Context())
            self._boarding = True
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)  # of one that was cancelled unbegun
        elif self._watch is None:
            self._watch = loop.call_later(self._patience / 2, self._look)

    async def _lane(self) -> None:
        """One flight after another, as long as somebody waits and no others do it by now."""
        try:
            while self._waiting and self._quick <= self._at_once:
                self._boarding = False
                await self._fly()
            self._boarding = False
        finally:  # not left to the callback, which runs a turn later: who asks meanwhile would wait
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    @property
    def _quick(self) -> int:
        """How many lanes have no slow flight out."""
        return len(self._lanes) - len(self._slow_ones)

    async def _fly(self) -> None:
        uids = tuple(islice(self._waiting, self._most))
        flight = {uid: Aboard(self._waiting.pop(uid), []) for uid in uids}
        self._out |= flight
        slow = asyncio.get_running_loop().call_later(self._slow, self._takes_long, flight)
        if self._waiting:
            self._board()
        found: Mapping[str, bytes | Exception] = {}
        failure: Exception | None = Unavailable(_CLOSED)
        try:
            found = await self._asked(uids)
            failure = None
        except Exception as error:  # noqa: BLE001, the callers deal with it
            failure = error
        finally:
            slow.cancel()
            self._forget(flight)
            if failure is not None:
                for aboard in flight.values():
                    fail_all(aboard, failure)
            else:
                self._land(flight, found)

    async def _asked(self, uids: Sequence[str]) -> Mapping[str, bytes | Exception]:
        """What ``ask`` gives; one by one where something is wrong with one of them."""
        try:
            return await self._ask(uids)
        except Unavailable:
            raise
        except Exception:
            if len(uids) == 1:
                raise
        found: dict[str, bytes | Exception] = {}
        for uid in uids:
            try:
                found |= await self._ask((uid,))
            except Exception as error:  # noqa: BLE001, its callers deal with it
                found[uid] = error
        return found

    def _takes_long(self, flight: Flight) -> None:
        self._forget(flight)
        self._slow_ones.append(flight)
        if self._waiting and not self._boarding:
            self._board()
        self._on_slow()

    def _forget(self, flight: Flight) -> None:
        if any(each is flight for each in self._slow_ones):
            self._slow_ones = [each for each in self._slow_ones if each is not flight]
        else:
            for uid in flight:
                del self._out[uid]

    def _land(self, flight: Flight, found: Mapping[str, bytes | Exception]) -> None:
        onward = self._onward
        for uid, (early, late) in flight.items():
            told = found.get(uid)
            if told is not None:
                tell_all(early, told)
                tell_all(late, told)
                if self._slow_ones and isinstance(told, bytes):
                    self.tell({uid: told})
            elif onward is not None:
                onward.take_over(uid, early + late)
            else:
                tell_all(early, None)
                if late:
                    self._wait(uid, late)

    @property
    def is_slow(self) -> bool:
        """Whether a flight takes long."""
        return bool(self._slow_ones)

    @property
    def uids(self) -> list[str]:
        """What somebody waits for, whether or not a flight is out for it."""
        return list(dict.fromkeys(chain(self._waiting, self._out, *self._slow_ones)))

    def tell(self, found: Mapping[str, bytes]) -> None:
        """Have those go on who wait for one of these, which is known from elsewhere."""
        for uid, document in found.items():
            tell_all(self._waiting.pop(uid, ()), document)
            for flight in (self._out, *self._slow_ones):
                for callers in flight.get(uid, ()):
                    tell_all(callers, document)

    def take_over(self, uid: str, callers: Iterable[Caller]) -> None:
        """Have them go on from here, who have asked for this uid elsewhere."""
        if self._closed:
            tell_all(callers, Unavailable(_CLOSED))
        else:
            now = asyncio.get_running_loop().time()
            self._join(uid, [Caller(caller.answer, now) for caller in callers])

    def _look(self) -> None:
        """Give up those who have waited for too long."""
        self._watch = None
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._patience
        for uid, callers in tuple(self._waiting.items()):
            tell_all((each for each in callers if each.since <= limit), Unavailable(_NO_TURN))
            self._waiting[uid] = [each for each in callers if not each.answer.done()]
            if not self._waiting[uid]:
                del self._waiting[uid]
        if self._waiting:
            self._watch = loop.call_later(self._patience / 2, self._look)

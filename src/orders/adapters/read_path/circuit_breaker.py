"""A cache that costs next to nothing while it is down."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, TypeVar

from orders.domain.errors import Unavailable
from orders.domain.ports import Cache, Dependency

_T = TypeVar("_T")


class CheckedCache(Cache, Dependency, Protocol):
    """A cache that can be asked how it is."""


class CircuitBreakerCache(Cache, Dependency):
    """Bounds the time of every call, and stops calling a cache that fails time and again.

    After ``failures`` failures in a row the circuit is open: calls fail at once. When a pause has
    passed, one call goes through as a probe while all others go on failing at once. If it fails,
    the next pause is twice as long, up to ``longest``; if it succeeds, the circuit is closed.
    Pauses are shortened by up to a half, at random, so that many processes do not probe in step.

    Args:
        cache: the one to protect.
        timeout: seconds that a call may take.
        failures: failures in a row that open the circuit.
        shortest: seconds of the first pause, before the shortening.
        longest: seconds that a pause never exceeds.
        clock: monotonic seconds.
        jitter: a random number from 0 to 1.
    """

    def __init__(
        self,
        cache: CheckedCache,
        *,
        timeout: float = 0.2,
        failures: int = 3,
        shortest: float = 1.0,
        longest: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._cache = cache
        self._timeout = timeout
        self._limit = failures
        self._shortest = shortest
        self._longest = longest
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._pauses = 0  # pauses in a row; 0 while the circuit is closed
        self._probe_at = 0.0
        self._reason = ""
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the cache is not called now, but for a probe."""
        return self._pauses > 0

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``; raises Unavailable at once while the circuit is open."""
        return await self._call(lambda: self._cache.get(order_uids))

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """See ``Cache.put``; raises Unavailable at once while the circuit is open."""
        await self._call(lambda: self._cache.put(documents))

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``; raises Unavailable at once while the circuit is open."""
        return await self._call(lambda: self._cache.touch(order_uids))

    async def check(self) -> None:
        """See ``Dependency.check``; says at once that the circuit is open, where it is."""
        await self._call(self._cache.check)

    async def _call(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        probe = self._admit()
        try:
            async with asyncio.timeout(self._timeout):
                result = await operation()
        except TimeoutError as error:
            self._failed("the cache is too slow", probe=probe)
            raise Unavailable("the cache is too slow") from error
        except Unavailable as error:
            self._failed(str(error), probe=probe)
            raise
        finally:
            if probe:  # also when cancelled: the next call is a probe then
                self._probing = False
        self._failures = self._pauses = 0
        return result

    def _admit(self) -> bool:
        """Whether a call may go through and, if so, as a probe or not."""
        if not self.is_open:
            return False
        if self._probing or self._clock() < self._probe_at:
            raise Unavailable(f"the circuit is open: {self._reason}")
        self._probing = True
        return True

    def _failed(self, reason: str, *, probe: bool) -> None:
        if self.is_open and not probe:
            return  # began before the circuit was opened, and adds nothing to what is known
        self._failures += 1
        if probe or self._failures >= self._limit:
            self._reason = reason
            pause = min(self._longest, self._shortest * 2.0 ** min(self._pauses, 32))
            self._pauses += 1
            self._probe_at = self._clock() + pause * (1 - self._jitter() / 2)

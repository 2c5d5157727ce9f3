"""A circuit breaker, and one in front of the shared cache."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from orders.domain.errors import Unavailable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Cache, Dependency

_T = TypeVar("_T")


class CircuitBreaker:
    """Limits the time of every call to a server, and stops calling one that keeps failing.

    After ``failures`` failures in a row the circuit is open: calls fail at once. After a pause, one
    call goes through as a probe while all others still fail at once. If it fails, the next pause is
    twice as long, up to ``longest``; if it succeeds, the circuit is closed. Pauses are shortened by
    up to a half, at random, so that processes do not probe in step.

    Args:
        name: of the server, for the errors.
        timeout: seconds that a call may take.
        failures: failures in a row that open the circuit.
        shortest: seconds of the first pause, before it is shortened.
        longest: most seconds of a pause.
        clock: monotonic seconds.
        jitter: a random number from 0 to 1.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        failures: int = 3,
        shortest: float = 1.0,
        longest: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
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
        """Whether calls fail at once, except for probes."""
        return self._pauses > 0

    async def call(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Return the result of ``operation``.

        Raises:
            Unavailable: it failed with that, took too long, or the circuit is open.
        """
        probe = self._admit()
        try:
            async with asyncio.timeout(self._timeout):
                result = await operation()
        except TimeoutError as error:
            reason = f"{self._name} is too slow"
            self._failed(reason, probe=probe)
            raise Unavailable(reason) from error
        except Unavailable as error:
            self._failed(str(error), probe=probe)
            raise
        finally:
            if probe:  # also when cancelled: the next call is a probe then
                self._probing = False
        self._failures = self._pauses = 0
        return result

    def _admit(self) -> bool:
        """Return whether a call is a probe; raises Unavailable if it may not go through."""
        if not self.is_open:
            return False
        if self._probing or self._clock() < self._probe_at:
            raise Unavailable(self._reason)
        self._probing = True
        return True

    def _failed(self, reason: str, *, probe: bool) -> None:
        if self.is_open and not probe:
            return  # it started before the circuit was opened
        self._failures += 1
        if probe or self._failures >= self._limit:
            self._reason = reason
            pause = min(self._longest, self._shortest * 2.0 ** min(self._pauses, 32))
            self._pauses += 1
            self._probe_at = self._clock() + pause * (1 - self._jitter() / 2)


class CheckedCache(Cache, Dependency, Protocol):
    """A cache with a health check."""


class CircuitBreakerCache(Cache, Dependency):
    """A cache behind a circuit breaker: raises Unavailable at once while the circuit is open."""

    def __init__(self, cache: CheckedCache, breaker: CircuitBreaker | None = None) -> None:
        self._cache = cache
        self._breaker = breaker or CircuitBreaker("the cache", timeout=0.2)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        return await self._breaker.call(lambda: self._cache.get(order_uids))

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``Cache.put``."""
        await self._breaker.call(lambda: self._cache.put(documents, as_of))

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        return await self._breaker.call(lambda: self._cache.touch(order_uids))

    @property
    def position(self) -> int:
        """See ``Cache.position``."""
        return self._cache.position

    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``Cache.forget``; not by way of the circuit breaker, which may be open.

        A cache that is down has to know what it has missed.
        """
        await self._cache.forget(tombstones, since)

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._breaker.call(self._cache.check)

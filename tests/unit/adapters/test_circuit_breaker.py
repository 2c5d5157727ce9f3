"""A cache behind a circuit breaker; the clock and the dice are the test's."""

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.read_path.circuit_breaker import CircuitBreaker, CircuitBreakerCache
from orders.domain.errors import Unavailable
from orders.domain.ports import Cache
from tests.contracts.cache import CacheContract, NewCache, document


class SlowCache(MemoryCache):
    """Counts its calls, and holds them up while ``frozen``."""

    def __init__(self) -> None:
        super().__init__(10)
        self.calls = 0
        self.frozen = False
        self.thawed = asyncio.Event()

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        await self._arrive()
        return await super().get(order_uids)

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        await self._arrive()
        await super().put(documents, as_of)

    async def _arrive(self) -> None:
        self.calls += 1
        if self.frozen:
            await self.thawed.wait()


class Setting:
    """A breaker of the usual limits around a cache, at a time that the test sets."""

    def __init__(self, *, jitter: float = 0.0, timeout: float = 60.0) -> None:
        self.now = 1000.0
        self.cache = SlowCache()
        self.circuit = CircuitBreaker(
            "the cache",
            timeout=timeout,
            failures=3,
            shortest=1.0,
            longest=5.0,
            clock=lambda: self.now,
            jitter=lambda: jitter,
        )
        self.breaker = CircuitBreakerCache(self.cache, self.circuit)

    async def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(Unavailable):
                await self.breaker.get(["a"])

    async def reaches_the_cache(self) -> bool:
        before = self.cache.calls
        with suppress(Unavailable):
            await self.breaker.get(["a"])
        return self.cache.calls > before


class TestCircuitBreakerCache(CacheContract):
    @pytest.fixture
    def new_cache(self) -> NewCache:
        async def make(capacity: int) -> Cache:
            return CircuitBreakerCache(MemoryCache(capacity))

        return make


async def test_a_few_failures_leave_it_closed() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(2)
    assert not setting.circuit.is_open
    assert await setting.reaches_the_cache()


async def test_failures_in_a_row_open_the_circuit() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    assert setting.circuit.is_open
    calls = setting.cache.calls
    await setting.fail(100)
    with pytest.raises(Unavailable):
        await setting.breaker.put({"a": document("a")})
    with pytest.raises(Unavailable, match="the cache is down"):
        await setting.breaker.check()
    assert setting.cache.calls == calls


async def test_a_success_between_failures_resets_the_count() -> None:
    setting = Setting()
    for _ in range(5):
        setting.cache.available = False
        await setting.fail(2)
        setting.cache.available = True
        await setting.breaker.get(["a"])
    assert not setting.circuit.is_open


async def test_puts_and_checks_count_too() -> None:
    setting = Setting()
    setting.cache.available = False
    for call in (
        setting.breaker.put({"a": document("a")}),
        setting.breaker.check(),
        setting.breaker.get(["a"]),
    ):
        with pytest.raises(Unavailable):
            await call
    assert setting.circuit.is_open


async def test_a_probe_that_succeeds_closes_it() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    setting.cache.available = True
    setting.now += 0.99
    assert not await setting.reaches_the_cache()
    setting.now += 0.01
    assert await setting.reaches_the_cache()
    assert not setting.circuit.is_open
    assert await setting.reaches_the_cache()


async def test_pauses_grow_up_to_the_longest() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    for pause in (1, 2, 4, 5, 5, 5):
        setting.now += pause - 0.01
        assert not await setting.reaches_the_cache()
        setting.now += 0.01
        assert await setting.reaches_the_cache()  # a probe, which fails


async def test_pauses_are_short_again_after_a_recovery() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    for _ in range(5):
        setting.now += 5
        await setting.fail()
    setting.cache.available = True
    setting.now += 5
    await setting.breaker.check()
    setting.cache.available = False
    await setting.fail(3)
    setting.now += 1
    assert await setting.reaches_the_cache()


async def test_pauses_are_shortened_by_up_to_a_half() -> None:
    setting = Setting(jitter=1.0)
    setting.cache.available = False
    await setting.fail(3)
    setting.now += 0.49
    assert not await setting.reaches_the_cache()
    setting.now += 0.01
    assert await setting.reaches_the_cache()


async def test_years_of_failure_do_not_overflow_the_pause() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    for _ in range(2000):
        setting.now += 5
        assert await setting.reaches_the_cache()


async def test_only_one_probe_goes_out_at_a_time() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    setting.now += 1
    setting.cache.available, setting.cache.frozen = True, True
    probe = asyncio.create_task(setting.breaker.get(["a"]))
    await asyncio.sleep(0)
    calls = setting.cache.calls
    await setting.fail(50)
    assert setting.cache.calls == calls
    setting.cache.frozen = False
    setting.cache.thawed.set()
    await probe
    assert not setting.circuit.is_open


async def test_a_probe_whose_caller_leaves_makes_room_for_the_next() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    setting.now += 1
    setting.cache.available, setting.cache.frozen = True, True
    probe = asyncio.create_task(setting.breaker.get(["a"]))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert setting.circuit.is_open
    setting.cache.frozen = False
    assert await setting.reaches_the_cache()
    assert not setting.circuit.is_open


async def test_callers_that_leave_are_no_failures() -> None:
    setting = Setting()
    setting.cache.frozen = True
    for _ in range(10):
        call = asyncio.create_task(setting.breaker.get(["a"]))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert not setting.circuit.is_open


async def test_late_failures_do_not_lengthen_the_pause() -> None:
    setting = Setting()
    setting.cache.frozen = True
    calls = [asyncio.create_task(setting.breaker.get(["a"])) for _ in range(20)]
    await asyncio.sleep(0)
    setting.cache.available = False
    setting.cache.thawed.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    setting.cache.frozen = False
    setting.now += 1
    assert await setting.reaches_the_cache()


async def test_a_call_takes_no_longer_than_the_timeout_and_counts_as_a_failure() -> None:
    setting = Setting(timeout=0.02)
    setting.cache.frozen = True
    started = time.monotonic()
    await setting.fail(3)
    assert time.monotonic() - started < 1
    assert setting.circuit.is_open


async def test_a_fault_of_our_own_is_passed_on_and_counts_for_nothing() -> None:
    class Broken(MemoryCache):
        async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
            raise ZeroDivisionError

    circuit = CircuitBreaker("the cache", timeout=60.0)
    breaker = CircuitBreakerCache(Broken(1), circuit)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await breaker.get(["a"])
    assert not circuit.is_open


async def test_an_open_circuit_reports_the_reason() -> None:
    setting = Setting()
    setting.cache.available = False
    await setting.fail(3)
    with pytest.raises(Unavailable, match=r"^the cache is down$"):
        await setting.breaker.check()

"""The cache while its server is stopped, frozen, restarted, emptied or forgetful."""

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.redis_lru.cache import RedisCache
from orders.domain.errors import Unavailable
from tests.contracts.cache import documents
from tests.integration.redis.conftest import OpenCache
from tests.integration.redis.own_server import OwnServer
from tests.waiting import until, works

TIMEOUT = 0.1
"""Seconds, as in production."""

SOON = 10.0
"""Seconds within which a cache has to recover."""


async def assert_down(cache: RedisCache, server: OwnServer) -> None:
    for call in (cache.get(["a"]), cache.put(documents("a")), cache.check()):
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await call
        assert time.monotonic() - started < 2
        assert str(server.port) not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)


class TestServerDown:
    async def test_nothing_connects_before_it_is_needed(self, own_server: OwnServer) -> None:
        own_server.kill()
        cache = RedisCache(own_server.url, 3, "orders")
        await cache.open()
        await cache.close()

    async def test_before_open_and_after_close_it_is_down(self, own_server: OwnServer) -> None:
        cache = RedisCache(own_server.url, 3, "orders")
        await assert_down(cache, own_server)
        await cache.open()
        await cache.check()
        await cache.close()
        await cache.close()
        await assert_down(cache, own_server)

    async def test_dead_then_back_and_empty(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url, timeout=TIMEOUT)
        await until(lambda: works(cache))
        await cache.put(documents("a"))
        own_server.kill()
        await assert_down(cache, own_server)
        own_server.start()
        await until(lambda: works(cache))
        assert await cache.get(["a"]) == {}
        await cache.put(documents("a"))
        assert await cache.get(["a"]) == documents("a")

    async def test_frozen_then_recovered_with_all_entries(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url, timeout=TIMEOUT)
        await until(lambda: works(cache))
        await cache.put(documents("a", "b"))
        own_server.freeze()
        await assert_down(cache, own_server)
        own_server.thaw()
        await until(lambda: works(cache))
        assert await cache.get(["b"]) == documents("b")

    async def test_a_restart_between_two_calls_is_not_noticed(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url)
        await cache.put(documents("a"))
        await asyncio.to_thread(own_server.kill)
        await asyncio.to_thread(own_server.start)
        assert await cache.get(["a"]) == {}

    async def test_with_a_wrong_password_it_is_down(self, own_server: OwnServer) -> None:
        with own_server.client() as client:
            client.config_set("requirepass", "right")
        wrong = own_server.url.replace("redis://", "redis://:wrong@")
        cache = RedisCache(wrong, 3, "orders", timeout=5.0)
        await cache.open()
        with pytest.raises(Unavailable) as caught:
            await cache.check()
        await cache.close()
        assert "wrong" not in str(caught.value)

    async def test_with_another_server_it_is_down(self) -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            cache = RedisCache(f"redis://127.0.0.1:{port}", 3, "orders")
            await cache.open()
            with pytest.raises(Unavailable):
                await cache.get(["a"])
            await cache.close()

    @pytest.fixture
    def silent(self) -> Iterator[int]:
        """The port of a peer that takes connections and never says a word."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener.getsockname()[1]

    async def test_with_a_silent_server_it_is_down(self, silent: int) -> None:
        cache = RedisCache(f"redis://127.0.0.1:{silent}", 3, "orders", timeout=TIMEOUT)
        await cache.open()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await cache.get(["a"])
        assert time.monotonic() - started < 2
        await cache.close()

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "http://secret-host",
            "secret-host:6379",
            "redis://secret-host:port",
            "redis+cluster://",
            "redis+cluster://secret-host:port",
            "redis+cluster://secret-host:1,,secret-host:2",
            "redis+sentinel://secret-host:1",
        ],
    )
    def test_what_is_no_address_is_refused_unsaid(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^must ") as caught:
            RedisCache(url, 3, "orders")
        assert "secret" not in str(caught.value)


class TestServerForgets:
    async def test_flushall_empties_it(self, open_cache: OpenCache, own_server: OwnServer) -> None:
        cache = await open_cache(url=own_server.url)
        with own_server.client() as client:
            for _ in range(3):
                await cache.put(documents(*"abcd"))
                assert await cache.get(list("abcd")) == documents(*"bcd")
                client.flushall()
                assert await cache.get(list("abcd")) == {}

    async def test_flushed_scripts_are_sent_again(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url)
        with own_server.client() as client:
            for uid in "abc":
                client.script_flush()
                await cache.put(documents(uid))
                client.script_flush()
                assert await cache.get([uid]) == documents(uid)
        assert await cache.get(list("abc")) == documents(*"abc")

    async def test_scripts_are_sent_once(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url)
        for _ in range(20):
            await cache.put(documents("a"))
            await cache.get(["a"])
        with own_server.client() as client:
            commands = client.info("commandstats")
        assert commands["cmdstat_eval"]["calls"] == 2
        assert commands["cmdstat_evalsha"]["calls"] == 40


class TestCallersThatLeave:
    async def test_the_next_caller_does_not_get_their_answer(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url, max_connections=1)
        await cache.put(documents("a", "b"))
        for _ in range(5):
            own_server.freeze()
            leaving = asyncio.create_task(cache.get(["a"]))
            await asyncio.sleep(0.05)  # long enough for the question to be on its way
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            own_server.thaw()
            assert await cache.get(["b"]) == documents("b")

    async def test_leaving_at_any_moment_mixes_up_nothing_and_loses_no_connection(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        uids = [str(n) for n in range(20)]
        cache = await open_cache(20, url=own_server.url, max_connections=2)
        await cache.put(documents(*uids))
        dice = random.Random(5)
        for _ in range(15):
            calls = [asyncio.create_task(cache.get([uid])) for uid in uids]
            for call in calls:
                await asyncio.sleep(dice.random() * 0.0005)
                if dice.random() < 0.5:
                    call.cancel()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            for uid, answer in zip(uids, answers, strict=True):
                assert isinstance(answer, asyncio.CancelledError) or answer == documents(uid)
        # Both connections are there: while one waits, the other works.
        own_server.freeze()
        waiting = [asyncio.create_task(cache.get([uid])) for uid in uids[:2]]
        await asyncio.sleep(0.05)
        own_server.thaw()
        assert await asyncio.gather(*waiting) == [documents("0"), documents("1")]
        assert cache._slots._value == 2

    async def test_waiting_for_a_connection_is_bounded(
        self, open_cache: OpenCache, own_server: OwnServer
    ) -> None:
        cache = await open_cache(url=own_server.url, max_connections=2, timeout=TIMEOUT)
        own_server.freeze()
        started = time.monotonic()
        calls = (cache.get(["a"]) for _ in range(500))
        results = await asyncio.gather(*calls, return_exceptions=True)
        own_server.thaw()
        assert all(isinstance(result, Unavailable) for result in results)
        assert time.monotonic() - started < 5
        with own_server.client() as client:
            assert client.info("clients")["connected_clients"] <= 2 + 1
        await until(lambda: works(cache))


class TestBehindTheBreaker:
    """A thousand reads of a server that does not answer cost about as much as three."""

    @pytest.mark.parametrize("trouble", ["dead", "frozen"])
    async def test_reads_are_hardly_slower_than_without_a_cache(
        self,
        open_cache: OpenCache,
        own_server: OwnServer,
        trouble: str,
        record_property: Callable[[str, object], None],
    ) -> None:
        cache = await open_cache(url=own_server.url, timeout=TIMEOUT)
        breaker = CircuitBreakerCache(cache)
        await until(lambda: works(breaker))
        await breaker.put(documents("a"))
        if trouble == "dead":
            own_server.kill()
        else:
            own_server.freeze()
        started = time.monotonic()
        for _ in range(1000):
            with pytest.raises(Unavailable):
                await breaker.get(["a"])
        took = time.monotonic() - started
        record_property("seconds for 1,000 reads", round(took, 3))
        assert took < 3
        if trouble == "dead":
            own_server.start()
        else:
            own_server.thaw()
        await until(lambda: works(breaker))
        await breaker.put(documents("b"))
        assert await breaker.get(["b"]) == documents("b")

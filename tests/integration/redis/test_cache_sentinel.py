"""The cache on what sentinels monitor, and what becomes of it when they fail over."""

from collections.abc import Iterator
from contextlib import suppress
from typing import cast
from uuid import uuid4

import pytest
from redis import Redis

from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.redis_lru.cache import RedisCache
from orders.adapters.redis_lru.inspection import RedisInspection
from orders.domain.errors import Unavailable
from tests.contracts.cache import CacheContract, NewCache, check_against_model, documents
from tests.contracts.inspection import found
from tests.integration.redis.conftest import OpenCache
from tests.integration.redis.own_server import OwnServer, free_port
from tests.integration.redis.replicated import SERVICE, Replicated, running
from tests.integration.redis.rights import assert_all_well, documented_rights, works_within_rights
from tests.integration.redis.test_faults import peer
from tests.integration.redis.tls_front import CERTIFICATE, tls_fronts
from tests.waiting import until, works


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """Servers that no test harms."""
    with running(Replicated(tmp_path_factory.mktemp("sentinels"))) as servers:
        yield servers


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """Servers of the test's own."""
    with running(Replicated(tmp_path_factory.mktemp("sentinels"))) as servers:
        yield servers


async def opened(url: str, capacity: int = 3, seconds: float = 5.0) -> RedisCache:
    cache = RedisCache(url, capacity, f"test-{uuid4().hex}", timeout=seconds)
    await cache.open()
    return cache


class TestSentinelCache(CacheContract):
    @pytest.fixture
    def new_cache(self, open_cache: OpenCache, shared: Replicated) -> NewCache:
        async def new(capacity: int) -> RedisCache:
            return await open_cache(capacity, url=shared.url)

        return new

    def test_does_as_a_plain_model_does(self, shared: Replicated) -> None:
        check_against_model(
            lambda capacity: opened(shared.url, capacity),
            lambda cache: cast(RedisCache, cache).close(),
        )


@pytest.mark.parametrize("how", ["killed", "frozen", "demoted"])
async def test_a_failover_heals_without_a_restart(own: Replicated, how: str) -> None:
    cache = RedisCache(own.url, 3, "orders")
    await cache.open()
    breaker = CircuitBreakerCache(cache)

    async def takes(uid: str) -> bool:
        with suppress(Unavailable):
            await breaker.put(documents(uid))
            return True
        return False

    await until(lambda: takes("a"))
    master = own.master
    with master.client() as client:
        assert client.wait(1, 5000) == 1  # the replica has it
    if how == "demoted":
        own.promote()
    else:
        master.kill() if how == "killed" else master.freeze()
        own.wait_for_promotion(master)

    with own.master.client() as client:

        async def is_in_use() -> bool:
            # A master that was demoted while it was up takes writes until the sentinels tell it.
            return await takes("b") and bool(client.hexists("{orders}:documents", "b"))

        await until(is_in_use, "the new master is in use", 20)

    async def has_the_first() -> bool:
        with suppress(Unavailable):
            return await breaker.get(["a"]) == documents("a")
        return False

    await until(has_the_first)
    await cache.close()


async def test_connections_to_a_demoted_master_are_dropped(own: Replicated) -> None:
    """Also where it stays up and closes none of them itself."""
    cache = await opened(own.url)
    await cache.put(documents("a"))
    first, second = own.servers
    # The sentinels are not asked, so that no one closes connections.
    for sentinel in own.sentinels:
        sentinel.freeze()
    with first.client() as client, second.client() as other:
        other.replicaof("NO", "ONE")
        client.replicaof("127.0.0.1", second.port)
        kept = _connections(client)
        with pytest.raises(Unavailable, match="replica"):
            await cache.put(documents("b"))
        await until(lambda: _connections(client) < kept, "the connection is dropped")
    await cache.close()


def _connections(client: Redis) -> int:
    return len(client.client_list(_type="normal"))


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_two_of_three_sentinels_may_be_away(own: Replicated, how: str) -> None:
    """Whichever they are, and although each costs a search its time."""
    for sentinel in own.sentinels[:2]:
        sentinel.kill() if how == "killed" else sentinel.freeze()
    cache = await opened(own.url, seconds=0.1)
    breaker = CircuitBreakerCache(cache)
    await until(lambda: works(breaker), "the cache is in use", 15)
    finding = found(await RedisInspection(own.url, "orders").inspect(), "topology")
    assert (finding.state, "1 of 3 sentinels answer" in finding.text) == ("warning", True)
    await cache.close()


async def test_all_sentinels_may_be_away_once_the_master_is_found(own: Replicated) -> None:
    cache = await opened(own.url)
    await cache.put(documents("a"))
    for sentinel in own.sentinels:
        sentinel.kill()
    assert await cache.get(["a"]) == documents("a")
    await cache.close()


async def test_doctor_names_the_master(shared: Replicated) -> None:
    findings = await RedisInspection(shared.url, "orders").inspect()
    assert [finding.what for finding in findings] == ["reachable", "topology", "scripts", "memory"]
    assert {finding.state for finding in findings} == {"ok"}
    text = found(findings, "topology").text
    assert f"127.0.0.1:{shared.master.port}" in text
    assert SERVICE in text


async def test_doctor_tells_that_there_is_no_replica_to_promote(own: Replicated) -> None:
    own.servers[1].kill()

    async def warned() -> bool:
        finding = found(await RedisInspection(own.url, "orders").inspect(), "topology")
        return finding.state == "warning" and "add a replica" in finding.advice

    await until(warned)


async def says(url: str) -> str:
    """The reason in health, which doctor gives as well, with a step to take."""
    cache = await opened(url, seconds=2.0)
    with pytest.raises(Unavailable) as caught:
        await cache.check()
    await cache.close()
    (finding, *_) = await RedisInspection(url, "orders").inspect()
    assert (finding.text, finding.state) == (str(caught.value), "problem")
    assert finding.advice
    assert "127.0.0.1" not in finding.text
    return finding.text


class TestFaults:
    async def test_a_wrong_service(self, shared: Replicated) -> None:
        url = shared.url.replace(f"/{SERVICE}", "/others")
        assert await says(url) == "the sentinels monitor no service of this name"

    async def test_no_sentinel(self) -> None:
        url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/orders"
        assert await says(url) == "no sentinel can be asked: refuses connections"

    async def test_what_listens_is_no_sentinel(self, own_server: OwnServer) -> None:
        url = f"redis+sentinel://127.0.0.1:{own_server.port}/orders"
        assert await says(url) == "what listens is not a sentinel"

    async def test_no_master(self, own: Replicated) -> None:
        for server in own.servers:
            server.kill()

        async def is_down() -> bool:
            with own.sentinels[0].client() as client:
                return bool(client.sentinel_masters()[SERVICE]["is_sdown"])

        await until(is_down)
        await until(lambda: _is("the sentinels see no master that is up", own.url))

    @pytest.mark.parametrize("options", ["", "?sentinel_password=wrong"])
    async def test_a_wrong_password_of_the_sentinels(self, own: Replicated, options: str) -> None:
        _require_password(own)
        text = await says(own.url + options)
        assert text == "no sentinel can be asked: rejects this user or this password"
        (finding, *_) = await RedisInspection(own.url + options, "orders").inspect()
        assert "sentinel_password" in finding.advice

    async def test_a_wrong_password_of_the_master(self, own: Replicated) -> None:
        for server in own.servers:
            with server.client() as client:
                client.config_set("requirepass", "right")
        url = own.url.replace("://", "://:wrong@")
        assert await says(url) == "rejects this user or this password"

    async def test_tls(self) -> None:
        async with peer(b"+OK\r\n", tls=True) as port:
            url = f"rediss+sentinel://127.0.0.1:{port}/orders"
            assert "certificate is not accepted: self-signed" in await says(url)
        async with peer(b"+OK\r\n") as port:
            url = f"rediss+sentinel://127.0.0.1:{port}/orders"
            assert "no sentinel can be asked: TLS fails" in await says(url)


async def test_the_sentinels_and_the_master_have_passwords_of_their_own(own: Replicated) -> None:
    _require_password(own)
    for server in own.servers:
        with server.client() as client:
            client.config_set("requirepass", "master's")
    url = own.url.replace("://", "://:master's@") + "?sentinel_password=sentinels'&client_name=me"
    cache = await opened(url)
    await cache.put(documents("a"))
    assert await cache.get(["a"]) == documents("a")
    await cache.close()


async def test_the_documented_rights_are_enough(own: Replicated) -> None:
    for server in own.servers:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "cache", "on", ">p", *documented_rights())
    for sentinel in own.sentinels:
        rights = ("resetkeys", "-@all", "+sentinel|masters", "+sentinel|slaves")
        with sentinel.client() as client:
            client.execute_command("ACL", "SETUSER", "looker", "on", ">q", *rights)
    url = own.url.replace("://", "://cache:p@") + "?sentinel_username=looker&sentinel_password=q"
    assert_all_well(await RedisInspection(url, "orders").inspect())
    cache = RedisCache(url, 1, "orders", timeout=5.0)
    await cache.open()
    await works_within_rights(cache)
    await cache.close()


async def test_over_tls(own: Replicated) -> None:
    """To the sentinels and to the master that they name."""
    fronts = {free_port(): server.port for server in (own.sentinels[0], own.servers[0])}
    sentinel_port, master_port = fronts
    with tls_fronts(fronts), own.sentinels[0].client() as client:
        client.execute_command("SENTINEL", "REMOVE", SERVICE)
        client.execute_command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", master_port, 3)
        url = f"rediss+sentinel://127.0.0.1:{sentinel_port}/{SERVICE}"
        cache = await opened(f"{url}?ssl_ca_certs={CERTIFICATE}&ssl_check_hostname=no")
        await cache.put(documents("a"))
        assert await cache.get(["a"]) == documents("a")
        await cache.close()


def _require_password(own: Replicated) -> None:
    for sentinel in own.sentinels:
        with sentinel.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "resetpass", ">sentinels'")


async def _is(text: str, url: str) -> bool:
    (finding, *_) = await RedisInspection(url, "orders").inspect()
    return finding.text == text

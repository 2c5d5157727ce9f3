"""The cache on a real cluster: both of its keys in one slot, on whichever node; TLS; a failover."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from uuid import uuid4

import pytest
from redis import Redis

from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.redis_lru.cache import RedisCache
from orders.adapters.redis_lru.inspection import RedisInspection
from orders.domain.errors import Unavailable
from orders.domain.ports import Cache
from tests.contracts.cache import (
    CacheContract,
    NewCache,
    check_against_model,
    documents,
    uids_in,
)
from tests.contracts.inspection import found
from tests.integration.redis.conftest import OpenCache
from tests.integration.redis.own_server import OwnServer, free_port
from tests.integration.redis.replicated import OwnCluster, running
from tests.integration.redis.rights import assert_all_well, documented_rights, works_within_rights
from tests.integration.redis.tls_front import CERTIFICATE, tls_fronts
from tests.waiting import until, works

PREFIXES = tuple(f"orders-{n}" for n in range(6))


def three_nodes(folders: pytest.TempPathFactory) -> AbstractContextManager[OwnCluster]:
    return running(OwnCluster(folders.mktemp("cluster"), replicas=0))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    """Three nodes that share the slots, and that no test harms."""
    with three_nodes(tmp_path_factory) as servers:
        yield servers


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    """The same for a test that harms them."""
    with three_nodes(tmp_path_factory) as servers:
        yield servers


@pytest.fixture
def nodes(cluster: OwnCluster) -> list[OwnServer]:
    return cluster.nodes


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a cluster each of whose nodes is known to clients by a port that speaks TLS."""
    ports = [free_port() for _ in range(3)]
    servers = OwnCluster(tmp_path_factory.mktemp("cluster"), replicas=0, announced=ports)
    targets = {port: node.port for port, node in zip(ports, servers.nodes, strict=True)}
    with running(servers), tls_fronts(targets):
        yield "rediss+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)


TRUSTED = f"?ssl_ca_certs={CERTIFICATE}&ssl_check_hostname=false"


class TestCluster(CacheContract):
    @pytest.fixture
    def new_cache(self, open_cache: OpenCache, cluster: OwnCluster) -> NewCache:
        return partial(open_cache, url=cluster.url)

    def test_does_as_a_plain_model_does(self, cluster: OwnCluster) -> None:
        check_against_model(partial(_anew, cluster.url), _closed)


class TestClusterOverTls(CacheContract):
    @pytest.fixture
    def new_cache(self, open_cache: OpenCache, tls_url: str) -> NewCache:
        return partial(open_cache, url=tls_url + TRUSTED)

    def test_does_as_a_plain_model_does(self, tls_url: str) -> None:
        check_against_model(partial(_anew, tls_url + TRUSTED), _closed)


async def _anew(url: str, capacity: int) -> RedisCache:
    cache = RedisCache(url, capacity, f"test-{uuid4().hex}", timeout=5.0)
    await cache.open()
    return cache


async def _closed(cache: Cache) -> None:
    assert isinstance(cache, RedisCache)
    await cache.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_failover_heals_without_a_restart(
    tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    with running(OwnCluster(tmp_path_factory.mktemp("cluster"))) as servers:
        cache = RedisCache(servers.url, 3, "orders")
        await cache.open()
        breaker = CircuitBreakerCache(cache)
        await until(lambda: works(breaker))
        await breaker.put(documents("a"))
        finding = found(await RedisInspection(servers.url, "orders").inspect(), "topology")
        master = servers.owner("orders")
        assert str(master.port) in finding.text
        assert finding.state == "ok"
        with master.client() as client:
            assert client.wait(1, 5000) == 1  # the replica has it
        master.kill() if how == "killed" else master.freeze()
        await until(lambda: works(breaker), "the cache is in use again", 20)
        assert await breaker.get(["a"]) == documents("a")
        await breaker.put(documents("b"))
        assert await breaker.get(["b"]) == documents("b")
        finding = found(await RedisInspection(servers.url, "orders").inspect(), "topology")
        assert str(master.port) not in finding.text
        await cache.close()


async def test_a_cluster_without_some_of_its_slots_is_down(own_cluster: OwnCluster) -> None:
    cache = await open_cache(own_cluster.url, "orders")
    await cache.check()
    for node in own_cluster.nodes:
        with node.client() as client:
            client.execute_command("CLUSTER", "FLUSHSLOTS")
    text = "the cluster is down, or a part of it that is needed"
    with pytest.raises(Unavailable, match=text):
        await cache.check()
    (finding, *_) = await RedisInspection(own_cluster.url, "orders").inspect()
    assert finding.text == text
    await cache.close()


async def test_closed_after_a_failure_it_keeps_no_connection(own_cluster: OwnCluster) -> None:
    cache = await open_cache(own_cluster.url, "orders")
    await cache.check()
    own_cluster.owner("orders").kill()
    with pytest.raises(Unavailable):
        await cache.check()
    await cache.close()
    for node in own_cluster.nodes:
        if node.running:
            with node.client() as client:
                await until(partial(_is_alone, client))


def _is_alone(client: Redis) -> bool:
    return len(client.client_list(_type="normal")) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [("", "self-signed certificate"), (f"?ssl_ca_certs={CERTIFICATE}", "address mismatch")],
)
async def test_faults_of_tls_are_named(tls_url: str, options: str, says: str) -> None:
    cache = await open_cache(tls_url + options, "orders")
    with pytest.raises(Unavailable, match=says):
        await cache.check()
    await cache.close()
    (finding, *_) = await RedisInspection(tls_url + options, "orders").inspect()
    assert says in finding.text.lower()


async def test_the_documented_rights_are_enough(cluster: OwnCluster) -> None:
    rights = documented_rights(in_cluster=True)
    for node in cluster.nodes:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "cache", "on", ">p", *rights)
    address = cluster.url.replace("://", "://cache:p@")
    assert_all_well(await RedisInspection(address, "orders").inspect())
    cache = RedisCache(address, 1, "orders", timeout=5.0)
    await cache.open()
    await works_within_rights(cache)
    await cache.close()


async def test_a_single_server_is_no_cluster_and_a_node_no_single_server(
    own_server: OwnServer, cluster: OwnCluster
) -> None:
    (finding, *_) = await RedisInspection(
        own_server.url.replace("redis://", "redis+cluster://").removesuffix("/0"), "orders"
    ).inspect()
    assert finding.text == "it is not a node of a cluster"
    other = next(node for node in cluster.nodes if node is not cluster.owner("orders"))
    findings = await RedisInspection(other.url, "orders").inspect()
    assert findings[-1].text == "it is a node of a cluster"


def url(*nodes: OwnServer) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


async def open_cache(address: str, prefix: str) -> RedisCache:
    cache = RedisCache(address, 3, prefix, timeout=5.0)
    await cache.open()
    return cache


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_it_works_wherever_its_slot_is(nodes: list[OwnServer], prefix: str) -> None:
    cache = await open_cache(url(*nodes), prefix)
    await cache.check()
    await cache.put(documents(*"abcd"))
    await cache.get(["b"])
    await cache.put(documents("e"))
    assert await uids_in(cache, *"abcde") == set("bde")
    await cache.close()


def test_the_prefixes_above_lie_on_several_nodes(cluster: OwnCluster) -> None:
    assert len({cluster.owner(prefix).port for prefix in PREFIXES}) > 1


async def test_one_address_is_enough_to_find_the_others(nodes: list[OwnServer]) -> None:
    for node in nodes:
        cache = await open_cache(url(node), PREFIXES[0])
        await cache.put(documents("x"))
        assert await cache.get(["x"]) == documents("x")
        await cache.close()


async def test_a_node_that_is_down_does_not_matter(nodes: list[OwnServer]) -> None:
    cache = await open_cache(url(*nodes).replace("://", "://127.0.0.1:1,"), PREFIXES[0])
    await cache.put(documents("x"))
    assert await cache.get(["x"]) == documents("x")
    await cache.close()


async def test_without_any_node_it_is_down() -> None:
    cache = await open_cache("redis+cluster://127.0.0.1:1,127.0.0.1:2", "orders")
    with pytest.raises(Unavailable):
        await cache.get(["a"])
    with pytest.raises(Unavailable):
        await cache.check()
    await cache.close()

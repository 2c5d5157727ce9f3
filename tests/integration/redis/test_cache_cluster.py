"""The cache on a real cluster: both of its keys in one slot, on whichever node."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from orders.adapters.redis_lru.cache import RedisCache
from orders.domain.errors import Unavailable
from tests.contracts.cache import documents, uids_in
from tests.integration.redis.own_server import DEADLINE, OwnServer
from tests.waiting import wait_until

_SLOTS = ((0, 8191), (8192, 16383))
PREFIXES = tuple(f"orders-{n}" for n in range(6))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnServer, ...]]:
    """Two nodes that share the slots."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("cluster")
        servers = tuple(OwnServer(folder / str(n), "--cluster-enabled", "yes") for n in range(2))
        for server, slots in zip(servers, _SLOTS, strict=True):
            stack.callback(server.kill)
            server.start()
            with server.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        wait_until(lambda: all(map(_is_whole, servers)), DEADLINE, "the cluster is complete")
        yield servers


def _is_whole(server: OwnServer) -> bool:
    with server.client() as client:
        info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "2")


def url(*nodes: OwnServer) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


async def open_cache(address: str, prefix: str) -> RedisCache:
    cache = RedisCache(address, 3, prefix, timeout=5.0)
    await cache.open()
    return cache


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_it_works_wherever_its_slot_is(nodes: tuple[OwnServer, ...], prefix: str) -> None:
    cache = await open_cache(url(*nodes), prefix)
    await cache.check()
    await cache.put(documents(*"abcd"))
    await cache.get(["b"])
    await cache.put(documents("e"))
    assert await uids_in(cache, *"abcde") == set("bde")
    await cache.close()


def test_the_prefixes_above_lie_on_both_nodes(nodes: tuple[OwnServer, ...]) -> None:
    with nodes[0].client() as client:
        slots = {client.execute_command("CLUSTER", "KEYSLOT", p) for p in PREFIXES}
    assert min(slots) <= _SLOTS[0][1] < max(slots)


async def test_one_address_is_enough_to_find_the_others(nodes: tuple[OwnServer, ...]) -> None:
    for node in nodes:
        cache = await open_cache(url(node), PREFIXES[0])
        await cache.put(documents("x"))
        assert await cache.get(["x"]) == documents("x")
        await cache.close()


async def test_a_node_that_is_down_does_not_matter(nodes: tuple[OwnServer, ...]) -> None:
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

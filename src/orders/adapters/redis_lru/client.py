"""Makes Redis clients for a single server, a cluster or sentinels, without connecting."""

from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from orders.adapters.redis_lru.sentinel import MasterFinder
from orders.addresses import parse_redis

_PORT = 6379
_SENTINEL_PORT = 26379
_SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}

Client = Redis | RedisCluster


def client_factory(url: str, *, timeout: float, max_connections: int) -> Callable[[], Client]:
    """Return a function that makes a client for ``url``.

    Args:
        url: as in the setting ``redis_url``.
        timeout: seconds to connect, and to wait for a response.
        max_connections: most connections, in a cluster to each node.

    Raises:
        ValueError: ``url`` is not valid; the text does not contain it.
    """
    address = parse_redis(url)
    options: dict[str, Any] = {
        name: URL_QUERY_ARGUMENT_PARSERS.get(name, str)(text)
        for name, text in address.options.items()
    } | {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": False,
        # Version 3 adds push messages, which are not needed here.
        "protocol": 2,
        "ssl": address.tls,
    }
    login = {ours: options.pop(name) for name, ours in _SENTINEL_LOGIN.items() if name in options}

    def server() -> Redis:
        [(host, port)] = address.hosts
        return Redis(
            host=host,
            port=port or _PORT,
            retry=_no_retry(),
            max_connections=max_connections,
            **options,
        )

    def cluster() -> RedisCluster:
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port or _PORT) for host, port in address.hosts],
            # All keys are in one slot, which a single MOVED corrects. By default the client closes
            # all connections at every fifth, under the calls that use them; and until it knows the
            # slots, it sends scripts to any node.
            reinitialize_steps=0,
            retry=_no_retry(),
            max_connections=max_connections,
            **options,
        )

    def master() -> Redis:
        of_sentinels = {k: v for k, v in options.items() if k not in {"username", "password", "db"}}
        finder = MasterFinder(
            address.service,
            [(host, port or _SENTINEL_PORT) for host, port in address.hosts],
            sentinel_kwargs={"retry": _no_retry()} | of_sentinels | login,
        )
        client: Redis = finder.master_for(
            address.service, retry=_no_retry(), max_connections=max_connections, **options
        )
        return client

    makes: dict[str, Callable[[], Client]] = {
        "server": server,
        "cluster": cluster,
        "sentinel": master,
    }
    return makes[address.kind]


async def close(client: Client) -> None:
    """Close a client and all its connections."""
    await client.aclose()
    if isinstance(client, RedisCluster):  # after a failure it takes itself for closed
        await client.nodes_manager.aclose()
        await client.nodes_manager.aclose("startup_nodes")
    if finder := master_finder(client):
        await finder.aclose()


def master_finder(client: Client) -> MasterFinder | None:
    """What asks the sentinels for this client, if there are any."""
    pool = client.connection_pool if isinstance(client, Redis) else None
    finder = pool.sentinel_manager if isinstance(pool, SentinelConnectionPool) else None
    return finder if isinstance(finder, MasterFinder) else None


def _no_retry() -> Retry:
    """No retries: by default ten attempts take seconds, and a cache must fail fast."""
    return Retry(NoBackoff(), 0)

"""Makes Redis clients for a single server or a cluster, without connecting."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CLUSTER_SCHEME = "redis+cluster"
_DEFAULT_PORT = 6379

Client = Redis | RedisCluster


def client_factory(url: str, *, timeout: float, max_connections: int) -> Callable[[], Client]:
    """Return a function that makes a client for ``url``.

    Args:
        url: ``redis://``, ``rediss://``, or ``redis+cluster://user:password@host:port,host:port``.
        timeout: seconds to connect, and to wait for a response.
        max_connections: most connections, in a cluster to each node.

    Raises:
        ValueError: ``url`` is none of these; the text does not contain it.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "max_connections": max_connections,
        "decode_responses": False,
        # Version 3 adds push messages, which are not needed here.
        "protocol": 2,
    }
    try:
        if url.startswith(_CLUSTER_SCHEME + "://"):
            nodes, credentials = _cluster(url)
            return lambda: RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in nodes],
                retry=_no_retry(),
                **options | credentials,
            )
        parse_url(url)
    except ValueError:
        raise ValueError("not a redis://, rediss:// or redis+cluster:// address") from None

    def single() -> Redis:
        return Redis(connection_pool=ConnectionPool.from_url(url, retry=_no_retry(), **options))

    return single


async def close(client: Client) -> None:
    """Close a client and all its connections."""
    await client.aclose()
    if isinstance(client, Redis):  # it does not close a pool that was passed to it
        await client.connection_pool.aclose()


def _no_retry() -> Retry:
    """No retries: by default ten attempts take seconds, and a cache must fail fast."""
    return Retry(NoBackoff(), 0)


def _cluster(url: str) -> tuple[list[tuple[str, int]], dict[str, str]]:
    userinfo, _, hosts = urlsplit(url).netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    nodes = []
    for host in hosts.split(","):
        parts = urlsplit("//" + host.strip())
        if not parts.hostname:
            raise ValueError("a node without a host")
        nodes.append((parts.hostname, parts.port or _DEFAULT_PORT))
    credentials = {"username": unquote(username), "password": unquote(password)}
    return nodes, {name: value for name, value in credentials.items() if value}

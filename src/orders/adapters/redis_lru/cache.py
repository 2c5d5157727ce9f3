"""A least-recently-used cache on the server, shared by all processes."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from importlib.resources import files
from itertools import islice
from typing import Any

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from orders.adapters.redis_lru.client import Client, client_factory, close
from orders.domain.errors import Unavailable
from orders.domain.order.document import DIGEST_SIZE, belongs_to, digest
from orders.domain.ports import Cache, Dependency

_FAILURES = (RedisError, RedisClusterException, OSError, EOFError)


class RedisCache(Cache, Dependency):
    """Every operation is one script on the server, for one order or many, and so atomic.

    It lives in two keys, ``{prefix}:documents`` and ``{prefix}:recency``; their common hash tag
    keeps them in one slot of a cluster. No other key is read or written. A value is the digest of
    a document, then the document.

    Args:
        url: ``redis://``, ``rediss://``, or ``redis+cluster://host:port,host:port``.
        capacity: most documents that are kept, 1 or more.
        prefix: begins the names of the keys; holds no braces, which mark the hash tag.
        timeout: seconds to wait for a free connection, to connect in, and to wait for an answer.
        max_connections: most connections at a time (in a cluster, to each node).

    Raises:
        ValueError: an argument is not as said above; the text does not hold the address.
    """

    def __init__(
        self,
        url: str,
        capacity: int,
        prefix: str,
        *,
        timeout: float = 0.1,
        max_connections: int = 16,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be 1 or more")
        if "{" in prefix or "}" in prefix:
            raise ValueError("the prefix must not hold braces")
        self._new_client = client_factory(url, timeout=timeout, max_connections=max_connections)
        self._capacity = capacity
        self._keys = (f"{{{prefix}}}:documents", f"{{{prefix}}}:recency")
        self._timeout = timeout
        self._max_connections = max_connections
        self._client: Client | None = None
        self._slots = asyncio.Semaphore(max_connections)

    async def open(self) -> None:
        """Be ready to connect. Connections are made when they are needed, and made again."""
        if self._client is None:
            self._slots = asyncio.Semaphore(self._max_connections)
            self._client = self._new_client()

    async def close(self) -> None:
        """Close all connections; until it is opened again the cache is down."""
        client, self._client = self._client, None
        if client is not None:
            await close(client)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        if not order_uids:
            return {}
        values = await self._run(_GET, list(order_uids))
        found: dict[str, bytes] = {}
        corrupt: list[str | bytes] = []
        for uid, value in zip(order_uids, values, strict=True):
            if value is None:
                continue
            document = value[DIGEST_SIZE:]
            if value.startswith(digest(document)) and belongs_to(document, uid):
                found[uid] = document
            else:
                corrupt += (uid, value)
        if corrupt:
            await self._run(_DROP, corrupt)
        return found

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """See ``Cache.put``."""
        if not documents:
            return
        # What would give way at once need not travel.
        first = max(0, len(documents) - self._capacity)
        arguments: list[str | bytes] = [str(self._capacity)]
        for uid, document in islice(documents.items(), first, None):
            arguments += (uid, digest(document) + document)
        await self._run(_PUT, arguments)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        if not order_uids:
            return []
        kept = await self._run(_TOUCH, list(order_uids))
        return [uid for uid, is_kept in zip(order_uids, kept, strict=True) if not is_kept]

    async def check(self) -> None:
        """See ``Dependency.check``: whether it answers the very question it is there for."""
        await self._run(_GET, [])

    async def _run(self, script: "_Script", arguments: Sequence[str | bytes]) -> Any:
        async with self._connection() as client:
            keys = self._keys
            try:
                return await client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:  # a new server, or one that was told to forget
                return await client.eval(script.text, len(keys), *keys, *arguments)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Client]:
        """The client, once it has a connection to spare.

        The pool could do the waiting, but a caller that is cancelled while it hands a connection
        back would take it along, and there would be one less for good.
        """
        client, slots = self._client, self._slots
        if client is None:
            raise Unavailable("the cache is closed")
        try:
            async with asyncio.timeout(self._timeout):
                await slots.acquire()
            try:
                yield client
            finally:
                slots.release()
        except _FAILURES as error:  # TimeoutError is an OSError
            raise Unavailable("the cache is down or too slow") from error


class _Script:
    """A script by the name of its file, and the name that the server gives it."""

    def __init__(self, name: str) -> None:
        folder = files(__package__) / "scripts"
        parts = (folder / "prelude.lua", folder / f"{name}.lua")
        self.text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_GET, _PUT, _TOUCH, _DROP = map(_Script, ("get", "put", "touch", "drop"))

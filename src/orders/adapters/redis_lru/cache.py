"""An LRU cache in Redis, shared by all processes."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from importlib.resources import files
from itertools import accumulate
from typing import Any

from redis.exceptions import NoScriptError

from orders.adapters.redis_lru.client import Client, client_factory, close
from orders.adapters.redis_lru.faults import fault_of
from orders.domain.errors import Unavailable
from orders.domain.order.document import DIGEST_SIZE, belongs_to, digest
from orders.domain.order.tombstones import MAX_RECENT, Tombstone
from orders.domain.ports import Cache, Dependency

MAX_DOCUMENT_BYTES = 65_536
"""Larger documents are not kept: the look-ups of others would wait for them, and a batch of them
takes longer than a call may, so that a server in good health would be taken for down."""
PUT_BYTES = 4 * 2**20
"""Bytes of a call that puts documents; for more it might be too slow, likewise."""

_UNEXPECTED_REPLY = "its reply is not that of the script"


class RedisCache(Cache, Dependency):
    """An LRU cache. Each operation is one Lua script, for any number of orders, and so atomic.

    It uses three keys, ``{prefix}:documents``, ``{prefix}:recency`` and ``{prefix}:forgotten``;
    their common hash tag keeps them in one slot of a cluster. A value is the digest of a document,
    followed by the document.

    Args:
        url: as in the setting ``redis_url``.
        capacity: most documents that are kept, 1 or more.
        prefix: prefix of the keys; without braces, which mark the hash tag.
        timeout: seconds to wait for a free connection, to connect, and to wait for a response.
        max_connections: most connections at a time (in a cluster, to each node).

    Raises:
        ValueError: an argument is invalid; the text does not contain the address.
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
            raise ValueError("the prefix must not contain braces")
        self._new_client = client_factory(url, timeout=timeout, max_connections=max_connections)
        self._capacity = capacity
        self._keys = tuple(f"{{{prefix}}}:{name}" for name in ("documents", "recency", "forgotten"))
        self._position = 0
        self._timeout = timeout
        self._max_connections = max_connections
        self._client: Client | None = None
        self._slots = asyncio.Semaphore(max_connections)

    async def open(self) -> None:
        """Make the client. It connects, and reconnects, when needed."""
        if self._client is None:
            self._slots = asyncio.Semaphore(self._max_connections)
            self._client = self._new_client()

    async def close(self) -> None:
        """Close all connections; the cache is down until it is opened again."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # its connections are of no use any more
                await close(client)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        if not order_uids:
            return {}
        values = await self._run(GET, list(order_uids), self._position)
        if not all(value is None or isinstance(value, bytes) for value in values):
            raise Unavailable(_UNEXPECTED_REPLY)
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
            await self._run(DROP, corrupt)
        return found

    @property
    def position(self) -> int:
        """See ``Cache.position``."""
        return self._position

    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``Cache.forget``."""
        arguments: list[str | bytes] = [str(MAX_RECENT)]
        for tombstone in tombstones:
            arguments += (tombstone.order_uid, str(tombstone.position))
        try:
            await self._run(FORGET, arguments, since)
        finally:
            # Also if it fails: from now on ``get`` compares it with what the server was told. Not
            # earlier: a look-up meanwhile would find the server late, and empty it.
            self._position = max(self._position, since, *(each.position for each in tombstones))

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``Cache.put``."""
        small = [(uid, d) for uid, d in documents.items() if len(d) <= MAX_DOCUMENT_BYTES]
        sizes = accumulate(len(document) for _, document in reversed(small))
        # The last: more than the capacity would be evicted at once.
        number = min(self._capacity, sum(size <= PUT_BYTES for size in sizes))
        if not number:
            return
        arguments: list[str | bytes] = [str(self._capacity)]
        for uid, document in small[-number:]:
            arguments += (uid, digest(document) + document)
        await self._run(PUT, arguments, as_of)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        if not order_uids:
            return []
        found = await self._run(TOUCH, list(order_uids))
        return [uid for uid, is_found in zip(order_uids, found, strict=True) if not is_found]

    async def check(self) -> None:
        """See ``Dependency.check``: runs the script of ``get``."""
        await self._run(GET, [], self._position)

    async def _run(
        self, script: "Script", arguments: Sequence[str | bytes], position: int = 0
    ) -> Any:
        async with self._connection() as client:
            keys = self._keys
            given = (*keys, str(position), *arguments)
            try:
                reply = await client.evalsha(script.sha, len(keys), *given)
            except NoScriptError:  # a new server, or one whose scripts were flushed
                reply = await client.eval(script.text, len(keys), *given)
        if script.replies_per_order and not (
            isinstance(reply, list) and len(reply) == len(arguments)
        ):
            raise Unavailable(_UNEXPECTED_REPLY)
        return reply

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Client]:
        """The client, once a connection is free.

        Not by waiting in the client's pool: a caller that is cancelled while it returns a
        connection would leak it.
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
        except Exception as error:  # the client lets RuntimeError, TypeError and others through
            raise Unavailable(fault_of(error).text) from error


class Script:
    """A Lua script and its SHA-1, by which the server knows it.

    ``replies_per_order``: whether the reply is a list with an element for each argument.
    """

    def __init__(self, name: str, *, replies_per_order: bool = False) -> None:
        folder = files(__package__) / "scripts"
        parts = (folder / "prelude.lua", folder / f"{name}.lua")
        self.text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.replies_per_order = replies_per_order


GET, TOUCH = (Script(name, replies_per_order=True) for name in ("get", "touch"))
PUT, DROP, FORGET = map(Script, ("put", "drop", "forget"))

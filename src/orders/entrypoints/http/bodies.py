"""Reads request bodies within bounds of size, time and memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orders.entrypoints.http.access.principal import counted_as
from orders.entrypoints.http.asgi_types import Receive, Scope
from orders.entrypoints.http.problems import (
    INCOMPLETE_BODY,
    OVERLOADED,
    SLOW_BODY,
    TOO_LARGE,
    HTTPProblem,
)
from orders.entrypoints.http.responses import header_values

BODIES_IN_MEMORY = 4
"""All bodies together take as much memory as this many of the largest. Those of a client take as
much as they leave to others: they may arrive slowly, and would keep out all other large ones."""
SMALL_BYTES = 65_536
"""The first bytes of a body, which do not count: large bodies do not keep small ones out."""


class RequestBodies:
    """Reads bodies of at most ``max_bytes``, each within ``timeout`` seconds."""

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._free = BODIES_IN_MEMORY * max_bytes
        self._taken: Counter[str] = Counter()  # by clients

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        """Read a body; its memory counts until the end of the block.

        Raises:
            HTTPProblem: the body is too large or too slow, it ends early or is not framed
                correctly, or there is no memory for it now.
        """
        length = b"".join(header_values(scope["headers"], b"content-length"))
        if length.isdigit():  # of more than 4,300 digits, also if they are zeros, int() makes none
            self._check_size(int(length.lstrip(b"0")[:20] or b"0"))
        body = bytearray()
        counted = 0
        client = counted_as(scope)
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    more = True
                    while more:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            raise HTTPProblem(INCOMPLETE_BODY, "the body ended early")
                        body += message.get("body", b"")
                        more = message.get("more_body", False)
                        beyond = max(0, len(body) - SMALL_BYTES)
                        self._free -= beyond - counted
                        self._taken[client] += beyond - counted
                        counted = beyond
                        self._check_size(len(body))
                        if counted and self._taken[client] > self._free:
                            raise HTTPProblem(OVERLOADED, "too many large bodies at a time")
            except TimeoutError:
                detail = f"the body did not arrive within {self._timeout:g} s"
                raise HTTPProblem(SLOW_BODY, detail) from None
            yield bytes(body)
        finally:
            self._free += counted
            self._taken[client] -= counted
            if not self._taken[client]:
                del self._taken[client]

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise HTTPProblem(TOO_LARGE, "the body is larger than this service reads")

"""Streams orders as one body, without decoding them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from orders.domain.order.document import StoredOrder
from orders.entrypoints.http.asgi_types import Receive, Scope, Send
from orders.entrypoints.http.disconnection import Disconnection
from orders.entrypoints.http.responses import JSON, NO_STORE

Chunks = AsyncIterator[tuple[StoredOrder, ...]]
OnChunk = Callable[[Sequence[StoredOrder]], None]


class Form(NamedTuple):
    """A format of many orders: the bytes before, between and after them."""

    media_type: bytes
    opening: bytes
    separator: bytes
    closing: bytes

    def join(self, orders: Sequence[StoredOrder]) -> bytes:
        """Return the complete body of these orders."""
        closing = self.closing if orders or self.opening else b""
        return self.opening + self.inner(orders) + closing

    def inner(self, orders: Sequence[StoredOrder]) -> bytes:
        """Return these orders with what stands between them."""
        return self.separator.join([order.document for order in orders])


ARRAY = Form(JSON, b"[", b",", b"]")
LINES = Form(b"application/x-ndjson", b"", b"\n", b"\n")

HEADERS = ((b"vary", b"accept"), NO_STORE)
"""Headers of every list of orders."""


class OrderStream:
    """A response of unknown length, sent at the speed of the client.

    ``start`` creates it when the first chunk has arrived, so an error before that has a status of
    its own. A later error aborts the transfer, so that clients notice that it is incomplete.

    The server makes ``send`` wait while the client reads slowly. What waits for it is in the
    server's buffer alone, which has a bound for all clients.
    """

    def __init__(self, form: Form, first: bytes, rest: Chunks, on_chunk: OnChunk) -> None:
        self._form = form
        self._first = first
        self._rest = rest
        self._on_chunk = on_chunk

    @classmethod
    async def start(cls, form: Form, chunks: Chunks, on_chunk: OnChunk) -> "OrderStream":
        """Wait for the first chunk. Raises what ``chunks`` raises.

        ``on_chunk`` is called with each chunk before that is sent, and for an empty list once.
        """
        try:
            first = await anext(chunks)
        except StopAsyncIteration:
            first = ()
        on_chunk(first)
        return cls(form, form.opening + form.inner(first) if first else b"", chunks, on_chunk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; stops silently when the client has disconnected."""
        headers = [(b"content-type", self._form.media_type), *HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with Disconnection(receive) as has_left:
            if scope["method"] == "HEAD":
                await _send_body(send, b"", more=False)
            else:
                await self._send_chunks(send, has_left)

    async def _send_chunks(self, send: Send, has_left: Disconnection) -> None:
        form = self._form
        if not self._first:
            await _send_body(send, form.join(()), more=False)
            return
        body, self._first = self._first, b""
        await _send_body(send, body)
        del body
        await _taken(send)
        async for chunk in self._rest:
            self._on_chunk(chunk)
            body = form.separator + form.inner(chunk)
            del chunk
            # The server accepts data for a client that has disconnected without waiting.
            await asyncio.sleep(0)
            if has_left():
                return
            await _send_body(send, body)
            del body
            await _taken(send)
        await _send_body(send, form.closing, more=False)


async def _taken(send: Send) -> None:
    """Wait until the client has taken most of what was sent, so that no chunk is read before."""
    await _send_body(send, b"")


async def _send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})

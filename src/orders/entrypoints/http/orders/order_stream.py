"""Many orders as one body, chunk by chunk: bytes joined, nothing decoded or encoded."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from orders.domain.errors import OrdersError
from orders.domain.order.document import StoredOrder
from orders.entrypoints.http.abort_connection import abort_connection
from orders.entrypoints.http.asgi_types import Receive, Scope, Send
from orders.entrypoints.http.responses import JSON, NO_STORE

Chunks = AsyncIterator[tuple[StoredOrder, ...]]


class Form(NamedTuple):
    """How orders are put one after another: what stands before, between and after them."""

    media_type: bytes
    opening: bytes
    separator: bytes
    closing: bytes

    def join(self, orders: Sequence[StoredOrder]) -> bytes:
        """These orders alone, as a whole body."""
        inner = self.separator.join([order.document for order in orders])
        return self.opening + inner + (self.closing if orders or self.opening else b"")


ARRAY = Form(JSON, b"[", b",", b"]")
LINES = Form(b"application/x-ndjson", b"", b"\n", b"\n")

HEADERS = ((b"vary", b"accept"), NO_STORE)
"""For lists of orders: their form depends on Accept, their content on when one asks."""


class ReaderStuck(OrdersError):
    """Who asked for a list does not read it."""

    code = "reader-stuck"


class OrderStream:
    """An answer of unknown length, sent as the client takes it in.

    Made by ``start``, once the first chunk is there: what fails before that is an error with a
    status of its own. What fails later leaves the transfer unfinished, so that no client takes
    the half for the whole.

    The server makes ``send`` wait while the client reads slowly: no more than two chunks and the
    server's own buffer are in memory then. A client that does not take a chunk within ``patience``
    seconds is cut off.
    """

    def __init__(
        self, form: Form, first: Sequence[StoredOrder], rest: Chunks, patience: float
    ) -> None:
        self._form = form
        self._first = first
        self._rest = rest
        self._patience = patience

    @classmethod
    async def start(cls, form: Form, chunks: Chunks, patience: float) -> "OrderStream":
        """Take the first chunk. Raises what ``chunks`` raises."""
        try:
            first = await anext(chunks)
        except StopAsyncIteration:
            first = ()
        return cls(form, first, chunks, patience)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; stops without a word when the client has gone.

        Raises:
            ReaderStuck: the client is there and takes nothing; its connection is cut.
        """
        headers = [(b"content-type", self._form.media_type), *HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(_until_disconnected(receive))
        try:
            if scope["method"] == "HEAD":
                await _send_body(send, b"", more=False)
            else:
                await self._send_chunks(send, gone)
        except ReaderStuck:
            abort_connection(scope)
            raise
        finally:
            gone.cancel()

    async def _send_chunks(self, send: Send, gone: "asyncio.Task[None]") -> None:
        form = self._form
        if not self._first:
            await _send_body(send, form.join(()), more=False)
            return
        await self._send_patiently(send, form.opening + _inner(form, self._first))
        del self._first  # else it would be held to the end
        async for chunk in self._rest:
            # A server takes what is sent to one who has gone, and does not make us wait for it.
            await asyncio.sleep(0)
            if gone.done():
                return
            await self._send_patiently(send, form.separator + _inner(form, chunk))
        await self._send_patiently(send, form.closing, more=False)

    async def _send_patiently(self, send: Send, body: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await _send_body(send, body, more=more)
        except TimeoutError:
            raise ReaderStuck("the client has stopped reading") from None


def _inner(form: Form, orders: Sequence[StoredOrder]) -> bytes:
    return form.separator.join([order.document for order in orders])


async def _send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""Startup and shutdown of a server process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from orders.entrypoints.startup import exit_on_error

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Opens what the use cases need and closes it afterwards."""

nothing_to_open: Lifespan = nullcontext

_CLOSED = "lifespan.shutdown.complete"


class LifespanGuard:
    """An ASGI application that runs ``app`` inside ``lifespan``.

    If that fails, it ends the process with an exit code that tells a configuration error from a
    failure, and with a safe log line: ASGI servers and Litestar would print the exception as it is,
    with the values that drivers put into it.
    """

    def __init__(self, app: ASGIApp, lifespan: Lifespan) -> None:
        self._app = app
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call ``app``; raises SystemExit: 2 for UnsuitableDatabase, 1 for any other error."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_all_but_the_last(message: Message) -> None:
            # The server exits on this message, so it is sent once everything is closed.
            if message["type"] != _CLOSED:
                await send(message)

        with exit_on_error():
            async with self._lifespan():
                await self._app(scope, receive, send_all_but_the_last)
        await send({"type": _CLOSED})

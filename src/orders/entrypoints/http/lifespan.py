"""The start and the end of a serving process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from orders.entrypoints.startup import exit_on_error

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Opens what the use cases need, and closes it in the end."""

nothing_to_open: Lifespan = nullcontext

_CLOSED = "lifespan.shutdown.complete"


class LifespanGuard:
    """An ASGI application that serves ``app`` inside of ``lifespan``.

    Where that fails it ends the process with a code that tells a wrong configuration from a
    failure, and with a log line that is safe: servers and the framework would print the exception
    as it is, with what drivers put into it.
    """

    def __init__(self, app: ASGIApp, lifespan: Lifespan) -> None:
        self._app = app
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; raises SystemExit with 2 for UnknownSchema, with 1 for any other error."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_all_but_the_last(message: Message) -> None:
            # The server ends once it is told that all is closed: not before it is.
            if message["type"] != _CLOSED:
                await send(message)

        with exit_on_error():
            async with self._lifespan():
                await self._app(scope, receive, send_all_but_the_last)
        await send({"type": _CLOSED})

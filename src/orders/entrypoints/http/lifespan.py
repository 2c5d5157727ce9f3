"""The start and the end of a serving process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from orders.domain.errors import UnknownSchema
from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Opens what the use cases need, and closes it in the end."""

nothing_to_open: Lifespan = nullcontext

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

log = structlog.get_logger("orders.http")


class LifespanGuard:
    """An ASGI application around ``app`` that ends the process where its lifespan fails.

    Servers and the framework would print the exception, with addresses of databases in it, and
    end with a code that does not tell a wrong configuration from a failure.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; raises SystemExit with 2 for UnknownSchema, with 1 for any other error."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_all_but_failures(message: Message) -> None:
            if not message["type"].endswith(".failed"):
                await send(message)

        try:
            await self._app(scope, receive, send_all_but_failures)
        except UnknownSchema as error:
            log.critical("cannot go on", reason=str(error))
            raise SystemExit(EXIT_CONFIGURATION) from None
        except Exception as error:
            log.critical("cannot go on", exc_info=error)
            raise SystemExit(EXIT_FAILED) from None

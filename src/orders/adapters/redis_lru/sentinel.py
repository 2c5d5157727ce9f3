"""Asks sentinels for the master, and keeps the reason where none names one."""

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel


class UnknownServiceError(MasterNotFoundError):
    """The sentinels monitor no service of this name."""


class MasterDownError(MasterNotFoundError):
    """The sentinels see the master down, and have not promoted a replica yet."""


class SentinelsFailedError(MasterNotFoundError):
    """No sentinel has answered; the cause is the error of one of them."""


class Description(NamedTuple):
    """What sentinels know of a service: ``replicas`` are up; ``answers`` sentinels know it."""

    master: str
    replicas: int
    answers: int


class MasterFinder(Sentinel):
    """Finds the master of one service.

    The client's own class does so for each connection anew and one sentinel after the other, stops
    when the caller's time is over, and drops the errors: behind two frozen sentinels it would never
    come to the third. Here one search serves all callers, and goes on when they leave.
    """

    def __init__(self, service: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.service = service
        self._search: asyncio.Task[tuple[str, int]] | None = None

    async def discover_master(self, _: str) -> tuple[str, int]:
        """Return host and port of the master; only one service is known here.

        Raises:
            UnknownServiceError, MasterDownError, SentinelsFailedError: none is named.
        """
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(self._discover())
            # If all callers leave, nobody else looks at its error.
            self._search.add_done_callback(lambda search: search.cancelled() or search.exception())
        return await asyncio.shield(self._search)

    async def describe(self) -> Description:
        """Ask all sentinels."""
        host, port = await self.discover_master("")
        asked = await asyncio.gather(*map(self._ask, self.sentinels), return_exceptions=True)
        return Description(
            master=f"{host}:{port}",
            replicas=len(await self.discover_slaves(self.service)),
            answers=sum(isinstance(state, dict) for state in asked),
        )

    async def aclose(self) -> None:
        """Close the connections to the sentinels."""
        if self._search is not None:
            self._search.cancel()
            with suppress(asyncio.CancelledError, MasterNotFoundError):
                await self._search
        await super().aclose()

    async def _discover(self) -> tuple[str, int]:
        cause: Exception | None = None
        found: type[MasterNotFoundError] = SentinelsFailedError
        for sentinel in list(self.sentinels):
            try:
                state = await self._ask(sentinel)
            except Exception as error:  # noqa: BLE001 (the client raises errors of any type)
                cause = cause or error
            else:
                if state and self.check_master_state(state, self.service):
                    return str(state["ip"]), int(state["port"])
                if state or found is SentinelsFailedError:
                    found = MasterDownError if state else UnknownServiceError
            # Asked last from now on: it costs each search the time to wait for it.
            self.sentinels.remove(sentinel)
            self.sentinels.append(sentinel)
        raise found from cause

    async def _ask(self, sentinel: Redis) -> dict[str, Any] | None:
        """Return what a sentinel says of the service; None if it does not know it."""
        masters: Any = await sentinel.sentinel_masters()
        state: dict[str, Any] | None = masters.get(self.service)
        return state

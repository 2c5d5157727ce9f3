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

    The client's own class asks one sentinel after the other, for each connection anew, stops when
    the caller's time is over, and drops the errors: behind frozen sentinels it never comes to the
    one that answers. Here one search serves all callers, goes on when they leave, and asks all
    sentinels at the same time.
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
        states = await asyncio.gather(*map(self._ask, self.sentinels), return_exceptions=True)
        knowing = [
            sentinel
            for sentinel, state in zip(self.sentinels, states, strict=True)
            if isinstance(state, dict)
        ]
        replicas: Any = await knowing[0].sentinel_slaves(self.service)
        up = len(self.filter_slaves(replicas))
        return Description(f"{host}:{port}", replicas=up, answers=len(knowing))

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
        asked = [asyncio.create_task(self._ask(sentinel)) for sentinel in self.sentinels]
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    state = await answer
                except Exception as error:  # noqa: BLE001 (the client raises errors of any type)
                    cause = error
                    continue
                if state and self.check_master_state(state, self.service):
                    return str(state["ip"]), int(state["port"])
                if state or found is SentinelsFailedError:
                    found = MasterDownError if state else UnknownServiceError
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise found from cause

    async def _ask(self, sentinel: Redis) -> dict[str, Any] | None:
        """Return what a sentinel says of the service; None if it does not know it."""
        masters: Any = await sentinel.sentinel_masters()
        state: dict[str, Any] | None = masters.get(self.service)
        return state

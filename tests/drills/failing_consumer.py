"""`orders consumer` that kills itself at a chosen place: `python -m ... failing_consumer PLACE:N`.

The places lie between the ports, so the product's code has none of this: a decorator of the port
ends the process by SIGKILL just before the Nth call goes on.

    before-commit       stored and dead letters safe, offsets not committed
    before-letters      stored, the dead letters not written
    after-letters       the dead letters acknowledged, offsets not committed
    before-save         nothing stored yet
    after-save          stored in the database, and nobody has been told
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from dependency_injector import providers

from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.bootstrap import build
from orders.domain.messages import Batch, DeadLetter
from orders.domain.model import Order
from orders.domain.ports import DeadLetters, MessageSource, SaveReport
from orders.entrypoints.consumer.command import consume
from orders.entrypoints.startup import NEEDED, settings_or_exit, start_logging


class Failpoint:
    """Kills this process when it is passed for the Nth time."""

    def __init__(self, place: str, times: int) -> None:
        self._place = place
        self._left = times

    def pass_by(self, place: str) -> None:
        """Go on, or end here."""
        if place == self._place:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class _Source(MessageSource):
    def __init__(self, source: MessageSource, failpoint: Failpoint) -> None:
        self._source, self._failpoint = source, failpoint

    async def receive(self) -> Batch:
        return await self._source.receive()

    async def commit(self, batch: Batch) -> None:
        self._failpoint.pass_by("before-commit")
        await self._source.commit(batch)


class _Letters(DeadLetters):
    def __init__(self, letters: DeadLetters, failpoint: Failpoint) -> None:
        self._letters, self._failpoint = letters, failpoint

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        self._failpoint.pass_by("before-letters")
        await self._letters.put(letters)
        self._failpoint.pass_by("after-letters")


class _Repository(PostgresOrderRepository):
    failpoint: Failpoint

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        self.failpoint.pass_by("before-save")
        report = await super().save_many(orders)
        self.failpoint.pass_by("after-save")
        return report


def main() -> None:
    """Run the consumer with the failpoint that the command line names."""
    place, _, times = sys.argv[1].partition(":")
    failpoint = Failpoint(place, int(times or 1))
    settings = settings_or_exit(NEEDED)
    start_logging(settings, "consumer")
    container = build(settings)
    source, letters = container.source(), container.dead_letters()
    repository = _Repository(container.database())
    repository.failpoint = failpoint
    container.repository.override(providers.Object(repository))
    container.dead_letters.override(providers.Object(_Letters(letters, failpoint)))
    container.source.override(providers.Object(_Source(source, failpoint)))
    container.consumer_resources.override(
        providers.List(container.database, container.producer, providers.Object(source))
    )
    asyncio.run(consume(settings, container))


if __name__ == "__main__":
    main()

"""`orders consumer` that comes to harm at a chosen place: `python -m ... failing_consumer PLACE:N`.

The places lie between the ports, so the product's code has none of this: a decorator of the port
ends the process by SIGKILL just before the Nth call goes on. `PLACE:N:stop` stops it in its tracks
instead, until it gets a SIGCONT, and `PLACE:N:hold` has that one call wait for a SIGUSR1 while the
rest goes on. DRILL_KAFKA_OPTIONS, a JSON object, holds options for the Kafka client's consumer.

    before-commit       stored and dead letters safe, offsets not committed
    before-dead-letters      stored, the dead letters not written
    after-dead-letters       the dead letters acknowledged, offsets not committed
    before-save         nothing stored yet
    after-save          stored in the database, not yet returned to the caller
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from dependency_injector import providers

from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.bootstrap import build
from orders.domain.intake.messages import Batch, DeadLetter
from orders.domain.order.model import Order
from orders.domain.ports import DeadLetters, MessageSource, SaveReport
from orders.entrypoints.consumer.consume import consume
from orders.entrypoints.startup import NEEDED, settings_or_exit, start_logging

HELD, LET_GO = "held back", "let go"


class Failpoint:
    """Does harm to this process when it is passed for the Nth time."""

    def __init__(self, place: str, times: int, harm: str) -> None:
        self._place = place
        self._left = times
        self._harm = harm

    async def pass_by(self, place: str) -> None:
        """Go on, or end here, or not before long."""
        if place != self._place:
            return
        self._left -= 1
        if self._harm == "kill" and self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._harm == "stop" and self._left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._harm == "hold" and self._left == 0:
            is_let_go = threading.Event()
            # Not the event loop's way: that would take the product's own signals away from it.
            signal.signal(signal.SIGUSR1, lambda _number, _frame: is_let_go.set())
            print(HELD, file=sys.stderr, flush=True)  # noqa: T201 (for the drill, in the log)
            while not is_let_go.is_set():  # noqa: ASYNC110 (set by the handler of a signal)
                await asyncio.sleep(0.05)
            print(LET_GO, file=sys.stderr, flush=True)  # noqa: T201


class _Source(MessageSource):
    def __init__(self, source: MessageSource, failpoint: Failpoint) -> None:
        self._source, self._failpoint = source, failpoint

    async def receive(self) -> Batch:
        return await self._source.receive()

    async def commit(self, batch: Batch) -> None:
        await self._failpoint.pass_by("before-commit")
        await self._source.commit(batch)


class _Letters(DeadLetters):
    def __init__(self, dead_letters: DeadLetters, failpoint: Failpoint) -> None:
        self._dead_letters, self._failpoint = dead_letters, failpoint

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        await self._failpoint.pass_by("before-dead-letters")
        await self._dead_letters.put(dead_letters)
        await self._failpoint.pass_by("after-dead-letters")


class _Repository(PostgresOrderRepository):
    failpoint: Failpoint

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        await self.failpoint.pass_by("before-save")
        report = await super().save_many(orders)
        await self.failpoint.pass_by("after-save")
        return report


def main() -> None:
    """Run the consumer with the failpoint that the command line names."""
    place, _, rest = sys.argv[1].partition(":")
    times, _, harm = rest.partition(":")
    failpoint = Failpoint(place, int(times or 1), harm or "kill")
    options = json.loads(os.environ.get("DRILL_KAFKA_OPTIONS") or "{}")
    settings = settings_or_exit(NEEDED)
    start_logging(settings, "consumer")
    container = build(settings, "consumer")
    source = KafkaMessageSource(container.kafka_settings(), **options)
    dead_letters = container.dead_letters()
    repository = _Repository(container.database())
    repository.failpoint = failpoint
    container.repository.override(providers.Object(repository))
    container.dead_letters.override(providers.Object(_Letters(dead_letters, failpoint)))
    container.source.override(providers.Object(_Source(source, failpoint)))
    container.consumer_resources.override(
        providers.List(container.database, container.dead_letter_producer, providers.Object(source))
    )
    asyncio.run(consume(settings, container))


if __name__ == "__main__":
    main()

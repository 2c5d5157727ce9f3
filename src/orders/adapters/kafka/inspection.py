"""A close look at the brokers, both topics and the group."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from orders.adapters.kafka.client.cluster_view import ClusterView, UnreachableError, look
from orders.adapters.kafka.client.loop_callbacks import call_in_loop
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.diagnostics.group_findings import group_findings
from orders.adapters.kafka.diagnostics.topic_findings import topic_findings
from orders.domain.ports import Finding, Inspection

T = TypeVar("T")

PART = "kafka"


class KafkaInspection(Inspection):
    """Looks by clients of its own; joins no group and makes no topic."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        try:
            view = await _in_daemon_thread(lambda: look(self._settings))
        except UnreachableError as error:
            return [Finding(PART, "reachable", "problem", str(error), error.advice)]
        return [_reached(view), *topic_findings(view), *group_findings(view)]


def _reached(view: ClusterView) -> Finding:
    brokers = f"{view.brokers} brokers answer" if view.brokers > 1 else "1 broker answers"
    return Finding(PART, "reachable", "ok", brokers)


async def _in_daemon_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises, in a thread that is left behind where nobody waits for it.

    The client's calls block, and who asks a frozen broker is to be able to leave.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not done.done():
            done.set_result(result)

    def fail(error: Exception) -> None:
        if not done.done():
            done.set_exception(error)

    def run() -> None:
        try:
            call_in_loop(loop, succeed, work())
        except Exception as error:  # noqa: BLE001 (raised to the caller)
            call_in_loop(loop, fail, error)

    threading.Thread(target=run, name="kafka-inspection", daemon=True).start()
    return await done

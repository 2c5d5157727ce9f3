"""Inspects the brokers, both topics and the group for `orders doctor`."""

from collections.abc import Sequence

from orders.adapters.kafka.client.cluster_view import UnreachableError, describe_cluster
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.diagnostics.group_findings import group_findings
from orders.adapters.kafka.diagnostics.topic_findings import topic_findings
from orders.daemon_thread import in_daemon_thread
from orders.domain.ports import Finding, Inspection

PART = "kafka"


class KafkaInspection(Inspection):
    """Uses clients of its own; joins no group and creates no topic."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        try:
            view = await in_daemon_thread(lambda: describe_cluster(self._settings))
        except UnreachableError as error:
            return [Finding(PART, "reachable", "problem", str(error), error.advice)]
        brokers = f"{view.brokers} brokers answer" if view.brokers > 1 else "1 broker answers"
        reachable = Finding(PART, "reachable", "ok", brokers)
        return [reachable, *topic_findings(view), *group_findings(view)]

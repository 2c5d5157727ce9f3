"""Health check of the consumer's commits."""

from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency

UNCONFIRMED_TIMEOUT = 5.0
"""Seconds that a commit may stay unconfirmed, retries included."""


class KafkaCommits(Dependency):
    """Checks that commits are confirmed; otherwise a crash causes more redeliveries."""

    def __init__(self, source: KafkaMessageSource) -> None:
        self._source = source

    async def check(self) -> None:
        """See ``Dependency.check``: the brokers confirm commits."""
        since = self._source.unconfirmed_since(UNCONFIRMED_TIMEOUT)
        if since is not None:
            raise Unavailable(
                f"no commit has been confirmed for more than {UNCONFIRMED_TIMEOUT:g} s", since
            )

"""Whether the brokers confirm what is committed."""

from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency

UNCONFIRMED_TIMEOUT = 5.0
"""Seconds that a commit may be on its way; it is tried again all the while."""


class KafkaCommits(Dependency):
    """The commits of a source. Without them nothing is lost, but more comes again after a crash."""

    def __init__(self, source: KafkaMessageSource) -> None:
        self._source = source

    async def check(self) -> None:
        """See ``Dependency.check``: no commit is long unconfirmed."""
        since = self._source.unconfirmed_since(UNCONFIRMED_TIMEOUT)
        if since is not None:
            raise Unavailable(
                f"no commit has been confirmed for more than {UNCONFIRMED_TIMEOUT:g} s", since
            )

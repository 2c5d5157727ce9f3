"""Whether messages were deleted before they were read."""

from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency


class KafkaGaps(Dependency):
    """The gaps that a source has met. They are said until the process ends."""

    def __init__(self, source: KafkaMessageSource) -> None:
        self._source = source

    async def check(self) -> None:
        """See ``Dependency.check``: there is no gap."""
        gaps = self._source.gaps
        if gaps:
            each = ", ".join(f"offsets {gap.offsets} of partition {n}" for n, gap in gaps.items())
            since = min(gap.noticed_at for gap in gaps.values())
            raise Unavailable(f"messages were deleted before they were read: {each}", since)

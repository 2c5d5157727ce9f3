"""The way out of the topic."""

from abc import abstractmethod
from typing import Protocol

from orders.domain.intake.messages import Batch


class MessageSource(Protocol):
    """Gives out messages in batches, and again after a crash whatever was not committed.

    Several batches may be in hand at once. They are committed in the order in which they were
    received; committing one says that it and all before it are dealt with for good.
    """

    @abstractmethod
    async def receive(self) -> Batch:
        """Wait for messages and take what there is, up to ``BATCH_MESSAGES`` and ``BATCH_BYTES``.

        The batch is never empty.

        Waits as long as it takes, also while the other side is down. May be cancelled: what had
        been taken for it then goes to the next caller.

        Raises:
            OrdersError: it cannot go on, and the process should end.
        """

    @abstractmethod
    async def commit(self, batch: Batch) -> None:
        """Note that this batch is dealt with. What has meanwhile been given to others is left out.

        Raises:
            Unavailable: not confirmed in time; its messages may be given out again.
        """

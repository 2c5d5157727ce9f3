"""The topic of orders, as read by the consumer."""

from abc import abstractmethod
from typing import Protocol

from orders.domain.intake.messages import Batch


class MessageSource(Protocol):
    """Provides messages in batches; those not committed are provided again after a crash.

    Several batches may be in progress at once. They are committed in the order in which they were
    received; a commit covers the batch and all before it.
    """

    @abstractmethod
    async def receive(self) -> Batch:
        """Wait for messages and return them, up to ``BATCH_MESSAGES`` and ``BATCH_BYTES``.

        The batch is never empty. Waits also while the brokers are down. May be cancelled; no
        message is lost by that.

        Raises:
            OrdersError: the source has failed permanently, and the process should end.
        """

    @abstractmethod
    async def commit(self, batch: Batch) -> None:
        """Commit a batch, without partitions that have been assigned to others in the meantime.

        Raises:
            Unavailable: not acknowledged in time; its messages may be provided again.
        """

"""Receives the client's notifications about rebalances."""

from collections.abc import Callable, Iterable

from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import TopicPartition


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes rebalances on, and stores exceptions, which the client would swallow."""

    def __init__(
        self,
        revoked: Callable[[], None],
        assigned: Callable[[Iterable[TopicPartition]], None],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned
        self._failure: Exception | None = None

    def raise_failure(self) -> None:
        """Raise a stored exception, if there is one; to be called outside of poll()."""
        if self._failure is not None:
            raise self._failure

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        """Called by the client inside poll(), before others get the partitions."""
        try:
            self._revoked()
        except Exception as error:  # noqa: BLE001 (raised after the poll)
            self._failure = error

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the client inside poll(), before it reads from the partitions."""
        try:
            self._assigned(assigned)
        except Exception as error:  # noqa: BLE001 (raised after the poll)
            self._failure = error

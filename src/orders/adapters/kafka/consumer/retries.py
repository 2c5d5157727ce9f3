"""Retry policies for the Kafka client."""

from collections import Counter
from collections.abc import Callable, Iterable

import structlog
from kafka.errors import KafkaConfigurationError, KafkaError
from kafka.structs import TopicPartition
from tenacity import RetryCallState, Retrying, wait_random_exponential

from orders.adapters.kafka.wire.record_batches import UnreadableBatch

_TRIES = 5
_MAX_WAIT = 5.0

_log = structlog.get_logger(__name__)


class Retries:
    """Makes retry policies; counts failed reads per partition until one succeeds.

    ``sleep`` waits that many seconds; ``on_failure`` is called with each failure before that.
    """

    def __init__(
        self, sleep: Callable[[float], None], on_failure: Callable[[BaseException], None]
    ) -> None:
        self._sleep = sleep
        self._on_failure = on_failure
        self._unreadable: Counter[TopicPartition] = Counter()

    def of_connecting(self) -> Retrying:
        """Goes on until a broker answers; anything else ends it at once."""
        return self._retrying(
            lambda state: (error := _error(state)) is not None and may_pass(error), first_wait=0.2
        )

    def of_polling(self) -> Retrying:
        """Retries errors of the brokers for ever, and other errors a few times."""
        return self._retrying(self._may_poll_on, first_wait=0.1)

    def got_past(self, partitions: Iterable[TopicPartition]) -> None:
        """Reset the counts of partitions in which reading has advanced."""
        for partition in partitions:
            self._unreadable.pop(partition, None)

    def _may_poll_on(self, state: RetryCallState) -> bool:
        error = _error(state)
        if error is None:
            return False
        if isinstance(error, UnreadableBatch):
            # Counted per partition: polls of other partitions may succeed in between.
            self._unreadable[error.partition] += 1
            return self._unreadable[error.partition] < _TRIES
        return may_pass(error) or state.attempt_number < _TRIES

    def _retrying(self, may_go_on: Callable[[RetryCallState], bool], first_wait: float) -> Retrying:
        return Retrying(
            retry=may_go_on,
            wait=wait_random_exponential(multiplier=first_wait, max=_MAX_WAIT),
            sleep=self._sleep,
            before_sleep=self._note,
            reraise=True,
        )

    def _note(self, state: RetryCallState) -> None:
        error = _error(state)
        assert error is not None
        self._on_failure(error)
        text = str(error) if isinstance(error, UnreadableBatch) else type(error).__name__
        _log.warning("consumer tries again", error=text, attempt=state.attempt_number)


def may_pass(error: BaseException) -> bool:
    """Whether the brokers may be the cause, so that it can pass by itself."""
    if isinstance(error, KafkaConfigurationError):
        return False
    return isinstance(error, (KafkaError, OSError))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

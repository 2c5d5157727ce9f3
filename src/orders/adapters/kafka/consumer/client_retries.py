"""Retry policies for the Kafka client."""

from collections import Counter
from collections.abc import Callable, Iterable

import structlog
from kafka.errors import KafkaConfigurationError, KafkaError
from kafka.structs import TopicPartition
from tenacity import RetryCallState, Retrying, wait_random_exponential

from orders.adapters.kafka.client.failures import reason_of
from orders.adapters.kafka.wire.record_batches import UnreadableBatch

_TRIES = 5
_MAX_WAIT = 5.0

_log = structlog.get_logger(__name__)


class Retries:
    """Makes retry policies; counts failed reads per partition until one succeeds.

    ``sleep`` waits that many seconds; ``on_failure`` is called with the reason of each failure
    before that. The log has a reason once, and again only when it changes.
    """

    def __init__(self, sleep: Callable[[float], None], on_failure: Callable[[str], None]) -> None:
        self._sleep = sleep
        self._on_failure = on_failure
        self._logged: str | None = None
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
        self._logged = None
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
        reason = reason_of(error)
        self._on_failure(reason)
        if reason != self._logged:
            _log.warning("consumer tries again", reason=reason, error=type(error).__name__)
            self._logged = reason


def may_pass(error: BaseException) -> bool:
    """Whether the brokers may be the cause, so that it can pass by itself."""
    if isinstance(error, KafkaConfigurationError):
        return False
    return isinstance(error, (KafkaError, OSError))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

"""Makes Kafka consumers with options that lose no message."""

from typing import Any

from kafka.consumer.subscription_state import ConsumerRebalanceListener

from orders.adapters.kafka.client.internals import ExtendedConsumer
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.consumer.assignors import new_assignors
from orders.adapters.kafka.consumer.fetches import OnJump, read_fetches
from orders.domain.intake.messages import BATCH_BYTES

_FETCH_BYTES = BATCH_BYTES  # enough for a batch; more would only use memory
_UNLIMITED = 1 << 30

_DEFAULTS: dict[str, Any] = {
    # Nothing is skipped, and only what we commit is committed.
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    # A single message is fetched at once, a backlog in pieces worth a transaction.
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": 500,
    "fetch_max_bytes": _FETCH_BYTES,
    "max_partition_fetch_bytes": _FETCH_BYTES,
    # poll() unpacks a whole fetch anyway. If it did not return all of it, a pause would make the
    # client drop the rest and skip to the end of the batch.
    "max_poll_records": _UNLIMITED,
    # The thread polls all the time, so a member that has not polled for 30 s is stuck.
    "max_poll_interval_ms": 30_000,
    # Fewer system calls for large fetches.
    "sock_chunk_bytes": 256 * 1024,
}


def new_consumer(
    settings: KafkaSettings,
    listener: ConsumerRebalanceListener,
    on_jump: OnJump,
    **overrides: Any,
) -> ExtendedConsumer:
    """Make a consumer subscribed to the topic; ``listener`` gets its (re)assignments.

    ``on_jump`` is called if the log does not have the next offset to read.

    Raises:
        KafkaError: no broker answers.
    """
    options = client_options(settings) | _DEFAULTS | session_options(settings.session_timeout)
    options |= {"group_id": settings.group, "partition_assignment_strategy": new_assignors()}
    if settings.instance_id:
        # A static member does not leave the group: it keeps its partitions across a restart.
        options |= {"group_instance_id": settings.instance_id, "leave_group_on_close": False}
    consumer = ExtendedConsumer(**(options | overrides))
    read_fetches(consumer, on_jump)
    consumer.subscribe([settings.topic], listener=listener)
    return consumer


def session_options(seconds: int) -> dict[str, int]:
    """Return the options that follow from the session timeout."""
    session_ms = seconds * 1_000
    return {
        "session_timeout_ms": session_ms,
        # One may be lost. All members send theirs at the same moments, a tenth of a second late at
        # most: the third one after the last of a dead member comes just after its session.
        "heartbeat_interval_ms": session_ms // 3 + 100,
        # Joining the group waits for its slowest member, so for max_poll_interval_ms. The client
        # demands that a request may take longer than a session.
        "request_timeout_ms": max(40_000, session_ms + 10_000),
    }

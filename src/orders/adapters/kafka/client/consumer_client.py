"""The client's consumer, set up so that it loses nothing by itself."""

from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener

from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.consumer.fetches import read_fetches
from orders.domain.intake.messages import BATCH_BYTES

_FETCH_BYTES = BATCH_BYTES  # holds a batch, and an array of nearly 1 MB; more is memory only
_ALL_THAT_WAS_FETCHED = 1 << 30

_DEFAULTS: dict[str, Any] = {
    # Nothing is skipped and nothing committed unless we say so.
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    # A lone message comes at once, a backlog in pieces that are worth a transaction.
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": 500,
    "fetch_max_bytes": _FETCH_BYTES,
    "max_partition_fetch_bytes": _FETCH_BYTES,
    # poll() unpacks a fetch as a whole anyway. Taking all of it at once leaves nothing inside the
    # client that a pause would make it drop, and then skip (it moves on to the batch's end).
    "max_poll_records": _ALL_THAT_WAS_FETCHED,
    # The thread polls all the time, so a member that does not is stuck: 30 s. A request may take
    # longer than that, since joining waits for the slowest member.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
    "max_poll_interval_ms": 30_000,
    "request_timeout_ms": 40_000,
    # Fewer system calls for large fetches.
    "sock_chunk_bytes": 256 * 1024,
}


def new_consumer(
    settings: KafkaSettings, listener: ConsumerRebalanceListener, **overrides: Any
) -> KafkaConsumer:
    """A consumer that has subscribed to the topic; ``listener`` is told of (re)assignments.

    Raises:
        KafkaError: no broker answers.
    """
    options = client_options(settings) | _DEFAULTS | {"group_id": settings.group}
    if settings.instance_id:
        # A static member does not say goodbye: it wants its partitions back after a restart.
        options |= {"group_instance_id": settings.instance_id, "leave_group_on_close": False}
    consumer = KafkaConsumer(**(options | overrides))
    read_fetches(consumer)
    consumer.subscribe([settings.topic], listener=listener)
    return consumer

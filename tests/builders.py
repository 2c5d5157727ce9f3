"""Builds orders and dead letters for tests."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orders.domain.intake.messages import DeadLetter, ErrorCode, Headers, Message, Origin

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When dead letters failed, plus ``hours``."""

_REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "order.json").read_bytes()
)


def order_bytes(order_uid: str) -> bytes:
    """Return the reference order with another order_uid, as a producer sends it."""
    return json.dumps(_REFERENCE | {"order_uid": order_uid}).encode()


def dead_letter(
    offset: int = 1,
    index: int = 0,
    *,
    value: bytes | None = b"[1]",
    code: ErrorCode = "invalid",
    detail: str = "$: is bad",
    topic: str = "orders",
    partition: int = 0,
    key: bytes | None = b"k",
    timestamp: int = 1_600_000_000_000,
    headers: Headers = (),
    hours: float = 0,
    attempt: int = 1,
    omitted: int = 0,
) -> DeadLetter:
    """Return the dead letter of an element of the message at ``offset``."""
    message = Message(Origin(topic, partition, offset), None, key, timestamp, headers)
    failed_at = START + timedelta(hours=hours)
    return DeadLetter(message, index, value, code, detail, failed_at, attempt, omitted)

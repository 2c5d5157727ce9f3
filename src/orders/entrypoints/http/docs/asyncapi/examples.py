"""Dead letters in the examples of the document, one for each code but `rejected`."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from orders.domain.dead_letters.headers import headers_of
from orders.domain.intake.messages import DeadLetter, ErrorCode, Message, Origin
from orders.domain.intake.reading import MAX_REFUSED_SMALL
from orders.entrypoints.http.docs.asyncapi.headers import REQUEST_ID as REQUEST_ID_HEADER
from orders.entrypoints.http.docs.openapi.examples import ORDER_JSON, REQUEST_ID

_FAILED_AT = datetime(2021, 11, 26, 6, 22, 20, tzinfo=UTC)


class Sent(NamedTuple):
    """A message on the topic of orders, and the code and detail of its dead letter."""

    value: bytes
    code: ErrorCode
    detail: str


def _changed(**changes: Any) -> dict[str, Any]:
    return ORDER_JSON | changes


WRONG_AMOUNT = _changed(payment=ORDER_JSON["payment"] | {"amount": "1817"})
SENT = (
    Sent(
        msgspec.json.encode([WRONG_AMOUNT]),
        "invalid",
        "$[0].payment.amount: expected int, got str",
    ),
    Sent(b'{"order_uid": "b563feb7b2b84b6test"', "undecodable", "$: must be JSON (byte 35)"),
    Sent(
        msgspec.json.encode([1] * (MAX_REFUSED_SMALL + 1)),
        "excessive",
        f"$: must not have more than {MAX_REFUSED_SMALL} invalid elements",
    ),
    Sent(
        msgspec.json.encode(_changed(entry="another")),
        "conflict",
        "$: another order with this order_uid is stored, with other content",
    ),
    Sent(b"", "empty", "$: must not be empty"),
)


def message(sent: Sent, topic: str, offset: int) -> Message:
    """Return the message on the topic of orders."""
    headers = ((REQUEST_ID_HEADER, REQUEST_ID.encode()),)
    return Message(Origin(topic, 0, offset), sent.value, None, 0, headers)


def examples(topic: str) -> list[dict[str, Any]]:
    """Return the dead letters as examples of an AsyncAPI message."""
    return [
        {"name": sent.code, "headers": _headers(sent, topic, offset), "payload": _payload(sent)}
        for offset, sent in enumerate(SENT)
    ]


def _headers(sent: Sent, topic: str, offset: int) -> dict[str, str]:
    dead_letter = DeadLetter(
        message(sent, topic, offset), 0, sent.value, sent.code, sent.detail, _FAILED_AT
    )
    return {name: value.decode() for name, value in headers_of(dead_letter)}


def _payload(sent: Sent) -> Any:
    """Return the payload of the dead letter: as JSON if it is valid, else as text."""
    try:
        document = msgspec.json.decode(sent.value)
    except msgspec.DecodeError:
        return sent.value.decode()
    return document[0] if sent.code == "invalid" else document

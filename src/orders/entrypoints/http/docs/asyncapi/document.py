"""Assembles the AsyncAPI document: topics, messages, and who sends and receives them."""

from importlib.metadata import version
from typing import Any

import msgspec

from orders.config import Settings
from orders.domain.intake.reading import (
    MAX_ELEMENTS,
    MAX_REFUSED_SMALL,
    MIN_ORDER_BYTES,
)
from orders.entrypoints.http.docs.asyncapi.examples import examples
from orders.entrypoints.http.docs.asyncapi.headers import (
    REQUEST_ID,
    DeadLetterHeaders,
    MessageHeaders,
    PublishedHeaders,
)
from orders.entrypoints.http.docs.openapi.examples import ORDER_JSON
from orders.entrypoints.http.docs.openapi.examples import REQUEST_ID as REQUEST_ID_EXAMPLE
from orders.entrypoints.http.docs.openapi.parts import array_of, ref
from orders.entrypoints.http.docs.openapi.schemas import REF, order_schemas

_DESCRIPTION = """\
Orders arrive on one topic, one per message or several as an array. What cannot be stored goes to
another topic, with headers that tell why. The HTTP API, with the same schemas, is described by
[/openapi.json](/openapi.json).

Addresses and credentials of the brokers are not part of this document.

Values of headers are text in UTF-8. Messages are compressed by any of gzip, snappy, lz4 and zstd,
or not at all.
"""
_BINDING = {"bindingVersion": "0.5.0"}
_ORDERS, _DEAD_LETTERS = "orders", "deadLetters"
_ONE, _SEVERAL, _PUBLISHED, _DEAD_LETTER = "order", "orderArray", "publishedOrder", "deadLetter"
_JSON = "application/json"
_CORRELATION = {
    "location": f"$message.header#/{REQUEST_ID}",
    "description": "Identifies the HTTP request in the logs.",
}


def asyncapi_document(settings: Settings) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of a service with these settings."""
    _, headers = msgspec.json.schema_components(
        (MessageHeaders, PublishedHeaders, DeadLetterHeaders), ref_template=REF + "{name}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Orders", "version": version("orders"), "description": _DESCRIPTION},
        "defaultContentType": _JSON,
        "channels": _channels(settings),
        "operations": _operations(settings),
        "components": {
            "messages": _messages(settings),
            "schemas": order_schemas() | headers,
        },
    }


def _channels(settings: Settings) -> dict[str, Any]:
    forever = {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1}
    return {
        _ORDERS: {
            "address": settings.kafka_topic,
            "title": "Orders",
            "description": "Orders from any producer. It may have any number of partitions; "
            "the key only selects the partition.",
            "messages": _refs("components/messages", _ONE, _SEVERAL, _PUBLISHED),
            "bindings": {"kafka": {"topic": settings.kafka_topic, **_BINDING}},
        },
        _DEAD_LETTERS: {
            "address": settings.kafka_dlq_topic,
            "title": "Dead letters",
            "description": "What could not be stored, with the reason. Each is written at least "
            "once: identify them by source topic, partition, offset and index. If this service "
            "creates the topic, it retains everything and accepts messages twice as large as "
            "the topic of orders.",
            "messages": _refs("components/messages", _DEAD_LETTER),
            "bindings": {
                "kafka": {
                    "topic": settings.kafka_dlq_topic,
                    "topicConfiguration": forever,
                    **_BINDING,
                }
            },
        },
    }


def _operations(settings: Settings) -> dict[str, Any]:
    def operation(action: str, channel: str, summary: str, *messages: str) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "messages": list(_refs(f"channels/{channel}/messages", *messages).values()),
        }

    group = {"type": "string", "const": settings.kafka_group}
    return {
        "receiveOrders": {
            **operation("receive", _ORDERS, "Check orders and store them.", _ONE, _SEVERAL),
            "description": "The offset is committed when every order of the message is stored or "
            "its dead letter is acknowledged. An equal order that arrives again changes nothing.",
            "bindings": {"kafka": {"groupId": group, **_BINDING}},
        },
        "sendOrders": operation(
            "send",
            _ORDERS,
            "Orders from POST /orders and from /random: one per message, acks=all.",
            _PUBLISHED,
        ),
        "sendDeadLetters": operation(
            "send",
            _DEAD_LETTERS,
            "What could not be stored, before its offset is committed.",
            _DEAD_LETTER,
        ),
    }


def _messages(settings: Settings) -> dict[str, Any]:
    order_uid = order_schemas()["Order"]["properties"]["order_uid"]
    any_key = {
        "type": ["string", "null"],
        "description": "Any or none; order_uid is a good choice.",
    }
    request_id = {REQUEST_ID: REQUEST_ID_EXAMPLE}
    return {
        _ONE: {
            "title": "One order",
            "summary": "As any producer may send it. A byte order mark before it is skipped.",
            "contentType": _JSON,
            "headers": ref("MessageHeaders"),
            "payload": ref("NewOrder"),
            "bindings": _key(any_key),
            "examples": [{"name": "order", "payload": ORDER_JSON}],
        },
        _SEVERAL: {
            "title": "Several orders",
            "summary": "Each element is stored or becomes a dead letter by itself; an empty array "
            "is ignored.",
            "description": f"An array with more than {MAX_ELEMENTS:,} elements becomes one dead "
            "letter as a whole (`excessive`), and none of its elements is stored. So does one with "
            f"more than {MAX_REFUSED_SMALL} invalid elements, if they are also more than one for "
            f"each {MIN_ORDER_BYTES} bytes of the message.",
            "contentType": _JSON,
            "headers": ref("MessageHeaders"),
            "payload": array_of("NewOrder"),
            "bindings": _key(any_key),
            "examples": [{"name": "orders", "payload": [ORDER_JSON]}],
        },
        _PUBLISHED: {
            "title": "An order from the HTTP API",
            "summary": "In canonical form, keyed by order_uid.",
            "contentType": _JSON,
            "correlationId": _CORRELATION,
            "headers": ref("PublishedHeaders"),
            "payload": ref("Order"),
            "bindings": _key(order_uid),
            "examples": [{"name": "order", "headers": request_id, "payload": ORDER_JSON}],
        },
        _DEAD_LETTER: {
            "title": "A dead letter",
            "summary": "A message as a whole, or a single element of an array: the "
            "original bytes, key, timestamp and headers, then the headers with the reason.",
            "contentType": "application/octet-stream",
            "correlationId": _CORRELATION,
            "headers": ref("DeadLetterHeaders"),
            "payload": {"description": "Any bytes or none; a valid payload is described above."},
            "bindings": _key(
                {"type": ["string", "null"], "description": "The key of the message."}
            ),
            "examples": examples(settings.kafka_topic),
        },
    }


def _key(schema: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": schema, **_BINDING}}


def _refs(place: str, *names: str) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/{place}/{name}"} for name in names}

"""The document as a whole: two topics, what lies on them, and who sends and takes it."""

from importlib.metadata import version
from typing import Any

import msgspec

from orders.entrypoints.http.docs.asyncapi.examples import examples
from orders.entrypoints.http.docs.asyncapi.headers import (
    REQUEST_ID,
    LetterHeaders,
    MessageHeaders,
    PublishedHeaders,
)
from orders.entrypoints.http.docs.openapi.examples import ORDER_JSON
from orders.entrypoints.http.docs.openapi.examples import REQUEST_ID as REQUEST_ID_EXAMPLE
from orders.entrypoints.http.docs.openapi.parts import array_of, ref
from orders.entrypoints.http.docs.openapi.schemas import REF, order_schemas
from orders.entrypoints.http.use_cases import Topics

_DESCRIPTION = """\
Orders arrive on one topic, one a message or several as an array. What cannot be stored goes to
another, with headers that say why. HTTP is told by [/openapi.json](/openapi.json), with the same
schemas.

Where the brokers are, and how to be let in, is not said here: that is for those who may connect,
and the address that this service uses need not be theirs.

Values of headers are text in UTF-8. Messages are compressed by any of gzip, snappy, lz4 and zstd,
or not at all.
"""
_BINDING = {"bindingVersion": "0.5.0"}
_ORDERS, _LETTERS = "orders", "deadLetters"
_ONE, _SEVERAL, _PUBLISHED, _LETTER = "order", "orderArray", "publishedOrder", "deadLetter"
_JSON = "application/json"
_CORRELATION = {
    "location": f"$message.header#/{REQUEST_ID}",
    "description": "Leads to the HTTP request in the logs.",
}


def asyncapi_document(topics: Topics) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of a service whose topics are these."""
    _, headers = msgspec.json.schema_components(
        (MessageHeaders, PublishedHeaders, LetterHeaders), ref_template=REF + "{name}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Orders", "version": version("orders"), "description": _DESCRIPTION},
        "defaultContentType": _JSON,
        "channels": _channels(topics),
        "operations": _operations(topics),
        "components": {
            "messages": _messages(topics),
            "schemas": order_schemas() | headers,
        },
    }


def _channels(topics: Topics) -> dict[str, Any]:
    forever = {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1}
    return {
        _ORDERS: {
            "address": topics.orders,
            "title": "Orders",
            "description": "Where orders arrive, from any producer. Any number of partitions; the "
            "key decides only about those.",
            "messages": _refs("components/messages", _ONE, _SEVERAL, _PUBLISHED),
            "bindings": {"kafka": {"topic": topics.orders, **_BINDING}},
        },
        _LETTERS: {
            "address": topics.dead_letters,
            "title": "Dead letters",
            "description": "What could not be stored, with the reason. Each is written at least "
            "once: count and process by source topic, partition, offset and index. Where this "
            "service makes the topic, it keeps everything and takes messages twice as large as "
            "those of orders.",
            "messages": _refs("components/messages", _LETTER),
            "bindings": {
                "kafka": {
                    "topic": topics.dead_letters,
                    "topicConfiguration": forever,
                    **_BINDING,
                }
            },
        },
    }


def _operations(topics: Topics) -> dict[str, Any]:
    def operation(action: str, channel: str, summary: str, *messages: str) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "messages": list(_refs(f"channels/{channel}/messages", *messages).values()),
        }

    group = {"type": "string", "const": topics.group}
    return {
        "receiveOrders": {
            **operation("receive", _ORDERS, "Check orders and store them.", _ONE, _SEVERAL),
            "description": "The offset is committed when every order of the message is stored or "
            "its dead letter is confirmed. What comes again and is equal changes nothing.",
            "bindings": {"kafka": {"groupId": group, **_BINDING}},
        },
        "sendOrders": operation(
            "send",
            _ORDERS,
            "What was posted to /orders, or made by /random: one order a message, acks=all.",
            _PUBLISHED,
        ),
        "sendDeadLetters": operation(
            "send", _LETTERS, "What could not be stored, before its offset is committed.", _LETTER
        ),
    }


def _messages(topics: Topics) -> dict[str, Any]:
    order_uid = order_schemas()["Order"]["properties"]["order_uid"]
    any_key = {"type": ["string", "null"], "description": "Any, or none; order_uid is a good one."}
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
            "summary": "Each element is stored or dead-lettered by itself; an empty array is "
            "nothing to do.",
            "contentType": _JSON,
            "headers": ref("MessageHeaders"),
            "payload": array_of("NewOrder"),
            "bindings": _key(any_key),
            "examples": [{"name": "orders", "payload": [ORDER_JSON]}],
        },
        _PUBLISHED: {
            "title": "An order that came by HTTP",
            "summary": "In the one form in which orders are given out, keyed by its order_uid.",
            "contentType": _JSON,
            "correlationId": _CORRELATION,
            "headers": ref("PublishedHeaders"),
            "payload": ref("Order"),
            "bindings": _key(order_uid),
            "examples": [{"name": "order", "headers": request_id, "payload": ORDER_JSON}],
        },
        _LETTER: {
            "title": "A dead letter",
            "summary": "An undecodable message whole, of an array a bad element alone: the "
            "original bytes, key and timestamp; the original headers, then those that say why.",
            "contentType": "application/octet-stream",
            "correlationId": _CORRELATION,
            "headers": ref("LetterHeaders"),
            "payload": {"description": "Any bytes, or none: what it should have been is above."},
            "bindings": _key({"type": ["string", "null"], "description": "That of the message."}),
            "examples": examples(topics.orders),
        },
    }


def _key(schema: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": schema, **_BINDING}}


def _refs(place: str, *names: str) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/{place}/{name}"} for name in names}

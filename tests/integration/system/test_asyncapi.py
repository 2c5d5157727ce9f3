"""What lies on both topics is what /asyncapi.yaml of the same service says."""

import json
from typing import Any

import pytest
import yaml
from confluent_kafka import Message

from orders.entrypoints.http.docs.asyncapi.examples import SENT
from orders.entrypoints.http.docs.openapi.examples import ORDER_JSON, REQUEST_ID
from tests import asyncapi
from tests.integration.system.processes import System

Document = dict[str, Any]
_OF_THIS_RUN = {
    *("orders-failed-at", "orders-source-topic", "orders-source-offset"),
    "orders-source-timestamp",
}


@pytest.fixture
def document(running: System) -> Document:
    """As it is served, with both processes up."""
    running.start("consumer")
    running.start_api()
    found: Document = yaml.safe_load(running.http.get("/asyncapi.yaml").text)
    return found


def texts(message: Message) -> dict[str, str]:
    headers: Any = message.headers()
    return {name: value.decode() for name, value in headers or ()}


def validate(document: Document, documented: Document, message: Message, payload: Any) -> None:
    key: Any = message.key()
    for schema, value in (
        (documented["payload"], payload),
        (documented["headers"], texts(message)),
        (documented["bindings"]["kafka"]["key"], key and key.decode()),
    ):
        asyncapi.validator(document, schema).validate(value)


def test_it_is_valid_and_names_what_is_there(running: System, document: Document) -> None:
    asyncapi.assert_valid(document)
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    assert addresses == {"orders": running.topic, "deadLetters": running.dlq_topic}
    group = document["operations"]["receiveOrders"]["bindings"]["kafka"]["groupId"]
    assert group["const"] == running.environment["ORDERS_KAFKA_GROUP"]
    for secret in ("ORDERS_KAFKA_BOOTSTRAP", "ORDERS_POSTGRES_DSN", "ORDERS_REDIS_URL"):
        assert running.environment[secret] not in json.dumps(document)


def test_published_messages_are_as_documented(running: System, document: Document) -> None:
    posted = running.http.post(
        "/orders",
        content=json.dumps([ORDER_JSON, ORDER_JSON | {"order_uid": "two"}]),
        headers={"X-Request-ID": REQUEST_ID},
    )
    made = running.http.post("/random/3", headers={"X-Request-ID": "r-2"})
    uids = [*posted.json()["order_uids"], *(order["order_uid"] for order in made.json())]
    found = running.messages(document["channels"]["orders"]["address"], 5)
    documented = asyncapi.message(document, "orders", "publishedOrder")
    for message in found:
        validate(document, documented, message, json.loads(message.value() or b""))
    assert [(message.key() or b"").decode() for message in found] == uids
    assert [texts(m)["x-request-id"] for m in found] == [REQUEST_ID] * 2 + ["r-2"] * 3
    (example,) = documented["examples"]
    assert example["headers"] == texts(found[0])
    assert example["payload"] == json.loads(found[0].value() or b"")


def test_accepted_and_dead_lettered_messages_are_as_documented(
    running: System, document: Document
) -> None:
    """The messages behind the examples: their dead letters are those in the document."""
    running.send(json.dumps(ORDER_JSON).encode())
    headers = [("x-request-id", REQUEST_ID.encode())]
    running.send(*(sent.value for sent in SENT), headers=headers)
    dead_letters = running.messages(document["channels"]["deadLetters"]["address"], len(SENT))
    documented = asyncapi.message(document, "deadLetters", "deadLetter")
    made = {texts(dead_letter)["orders-error-code"]: dead_letter for dead_letter in dead_letters}
    for example in documented["examples"]:
        dead_letter = made[example["name"]]
        value = dead_letter.value() or b""
        validate(document, documented, dead_letter, value.decode())
        payload = example["payload"]
        assert (value.decode() if isinstance(payload, str) else json.loads(value)) == payload
        assert {
            name: text for name, text in texts(dead_letter).items() if name not in _OF_THIS_RUN
        } == {name: text for name, text in example["headers"].items() if name not in _OF_THIS_RUN}
        assert texts(dead_letter)["orders-source-topic"] == running.topic
    accepted = asyncapi.message(document, "orders", "order")
    first, *_ = running.messages(running.topic, len(SENT) + 1)
    validate(document, accepted, first, json.loads(first.value() or b""))
    assert running.order(str(ORDER_JSON["order_uid"])).json() == ORDER_JSON

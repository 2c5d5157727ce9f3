"""The AsyncAPI document: valid, of the same types as the code, and true to what the code does."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given

from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.no_cache import NoCache
from orders.config import Settings
from orders.domain.dead_letters.headers import OMITTED, OWN, REPLAY_OF, headers_of
from orders.domain.intake.messages import DeadLetter, ErrorCode
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.use_cases.ingest_batch import IngestBatch
from orders.entrypoints.http.docs.asyncapi.document import asyncapi_document
from orders.entrypoints.http.docs.asyncapi.examples import SENT, message
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests import asyncapi
from tests.strategies import documents, orders
from tests.unit.domain.dead_letters.test_headers import dead_letters
from tests.unit.http.harness import openapi

SETTINGS = Settings(
    kafka_topic="shop.orders", kafka_dlq_topic="shop.orders.dead", kafka_group="shop-group"
)
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asyncapi_document(SETTINGS)))
REFERENCE = (Path(__file__).parents[2] / "data" / "order.json").read_bytes()
DEAD_LETTER_HEADERS = DOCUMENT["components"]["schemas"]["DeadLetterHeaders"]


def payload(name: str, channel: str = "orders") -> Any:
    return asyncapi.validator(DOCUMENT, asyncapi.message(DOCUMENT, channel, name)["payload"])


def test_it_is_valid() -> None:
    asyncapi.assert_valid(DOCUMENT)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["operations"]["receiveOrders"].pop("action"),
        lambda document: document["channels"]["orders"].update(topic="orders"),
        lambda document: document.update(asyncapi="2.6.0"),
        lambda document: document["components"]["messages"]["order"].update(payload=5),
    ],
)
def test_what_is_not_valid_would_be_found(spoil: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        asyncapi.assert_valid(document)


async def test_it_is_served_as_yaml_and_json(client: httpx.AsyncClient) -> None:
    as_yaml = await client.get("/asyncapi.yaml")
    as_json = await client.get("/asyncapi.json")
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_json.headers["content-type"] == "application/json"
    assert yaml.safe_load(as_yaml.text) == as_json.json()
    assert not re.search(r"[&*]id\d+", as_yaml.text)
    asyncapi.assert_valid(as_json.json())


def test_names_are_those_of_the_settings() -> None:
    for channel, name in (
        ("orders", SETTINGS.kafka_topic),
        ("deadLetters", SETTINGS.kafka_dlq_topic),
    ):
        told = DOCUMENT["channels"][channel]
        assert told["address"] == told["bindings"]["kafka"]["topic"] == name
    group = DOCUMENT["operations"]["receiveOrders"]["bindings"]["kafka"]["groupId"]
    assert asyncapi.validator(DOCUMENT, group).is_valid(SETTINGS.kafka_group)
    assert not asyncapi.validator(DOCUMENT, group).is_valid("orders-group")


def test_it_tells_no_address() -> None:
    assert "servers" not in DOCUMENT


def test_orders_have_the_schemas_of_the_openapi_document() -> None:
    of_http = openapi()
    shared = {name for name in of_http["components"]["schemas"] if "Problem" not in name}
    shared &= set(DOCUMENT["components"]["schemas"])
    assert shared >= {"Order", "NewOrder", "NewDelivery", "NewPayment", "NewItem"}
    for name in shared:
        assert DOCUMENT["components"]["schemas"][name] == of_http["components"]["schemas"][name]


@given(documents())
def test_whatever_is_accepted_meets_the_schema(sent: tuple[Order, bytes]) -> None:
    value = json.loads(sent[1])
    payload("order").validate(value)
    payload("orderArray").validate([value, value])


@given(orders())
def test_what_the_service_sends_meets_the_schema(order: Order) -> None:
    payload("publishedOrder").validate(json.loads(encode(order)))


def test_the_reference_order_meets_the_schemas() -> None:
    reference = json.loads(REFERENCE)
    payload("order").validate(reference)
    payload("orderArray").validate([reference])
    assert not payload("order").is_valid([reference])
    assert not payload("orderArray").is_valid(reference)


WRONG: list[Any] = [..., None, "", " ", "0", "1817", 1, -1, 2**63, 1.5, True, [], {}, "x" * 256]


def _leaves(node: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found: list[tuple[str | int, ...]] = []
    for name, value in inner:
        found.append((*path, name))
        if isinstance(value, dict | list):
            found += _leaves(value, *path, name)
    return found


@pytest.mark.parametrize("path", _leaves(json.loads(REFERENCE)), ids=str)
def test_it_refuses_what_the_service_refuses(path: tuple[str | int, ...]) -> None:
    """Each place absent, null, and holding what does not belong there; both say the same."""
    judged = 0
    for wrong in WRONG:
        document = json.loads(REFERENCE)
        place = document
        for step in path[:-1]:
            place = place[step]
        if wrong is ...:
            if isinstance(path[-1], int):
                continue
            del place[path[-1]]
        else:
            place[path[-1]] = wrong
        accepted = not read(json.dumps(document).encode()).refused
        assert payload("order").is_valid(document) == accepted, wrong
        judged += 1
    assert judged > 10


def test_every_code_of_the_domain_is_told() -> None:
    told = DEAD_LETTER_HEADERS["properties"]["orders-error-code"]
    assert sorted(told["enum"]) == sorted(get_args(ErrorCode))
    for code in get_args(ErrorCode):
        assert f"{code}: " in told["description"]


def test_headers_are_those_of_the_domain() -> None:
    assert set(DEAD_LETTER_HEADERS["required"]) == OWN
    assert set(DEAD_LETTER_HEADERS["properties"]) == OWN | {OMITTED, REPLAY_OF, "x-request-id"}


@given(dead_letters())
def test_headers_of_every_dead_letter_meet_the_schema(dead_letter: DeadLetter) -> None:
    headers = {
        name: value.decode() for name, value in headers_of(dead_letter) if name in OWN | {REPLAY_OF}
    }
    headers["orders-error-detail"] = headers["orders-error-detail"][:1000]  # as ingest does
    asyncapi.validator(DOCUMENT, DEAD_LETTER_HEADERS).validate(headers)


async def test_dead_letters_in_the_examples_are_what_ingest_makes() -> None:
    repository, dead = MemoryOrderRepository(), MemoryDeadLetters()
    await repository.save_many([ORDER])
    failed_at = datetime(2021, 11, 26, 6, 22, 20, tzinfo=UTC)
    ingest = IngestBatch(
        repository,
        dead,
        NoCache(),
        1,
        erasure=MemoryErasure(repository),
        now=lambda: failed_at,
    )
    sent = [message(sent, SETTINGS.kafka_topic, offset) for offset, sent in enumerate(SENT)]
    await ingest.store(ingest.prepare(sent))
    made = {dead_letter.code: dead_letter for dead_letter in dead.dead_letters}
    shown = asyncapi.message(DOCUMENT, "deadLetters", "deadLetter")["examples"]
    assert (
        {example["name"] for example in shown}
        == set(made)
        == set(get_args(ErrorCode)) - {"rejected"}
    )
    for example in shown:
        dead_letter = made[example["name"]]
        assert example["headers"] == {
            name: value.decode() for name, value in headers_of(dead_letter)
        }
        assert dead_letter.value is not None
        if isinstance(example["payload"], str):
            assert example["payload"].encode() == dead_letter.value
        else:
            assert example["payload"] == json.loads(dead_letter.value)


def test_examples_meet_their_schemas() -> None:
    checked = 0
    for told in DOCUMENT["components"]["messages"].values():
        for example in told["examples"]:
            asyncapi.validator(DOCUMENT, told["payload"]).validate(example["payload"])
            if "headers" in example:
                asyncapi.validator(DOCUMENT, told["headers"]).validate(example["headers"])
            checked += 1
    assert checked >= 6

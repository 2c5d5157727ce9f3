"""What the OpenAPI document shows is what the application answers."""

import random
from datetime import datetime
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
import structlog

from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.adapters.read_path.no_cache import NoCache, NoLocalCache
from orders.config import Settings
from orders.domain.errors import DamagedOrder, Misconfigured, Unsupported
from orders.domain.order.document import encode
from orders.domain.order.events import Position
from orders.domain.order.queries import FoundDocuments
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.watch_orders import WatchOrders
from orders.entrypoints.http.docs.openapi.examples import ORDER, RANDOM_ORDER_JSON, REQUEST_ID
from tests import http_examples
from tests.http_examples import MAX_BODY, Scenario
from tests.unit.http.harness import Api, openapi

DOCUMENT: dict[str, Any] = openapi()
SETTINGS = Settings(http_max_body=MAX_BODY)


async def _fails(*_: object, **__: object) -> Any:
    raise ArithmeticError("nobody has foreseen it")


class _Fails:
    __call__ = staticmethod(_fails)

    def peek(self, _: str) -> None:
        return None

    def stream(self, _: object, **__: object) -> Any:
        raise ArithmeticError("nobody has foreseen it")

    page = staticmethod(_fails)
    open = staticmethod(_fails)


FAILING: dict[str, Any] = dict.fromkeys(Api().use_cases().__slots__, _Fails())


def name_of(scenario: Scenario) -> str:
    return f"{scenario.operation}-{scenario.status}-{scenario.example}"


def test_every_answer_that_is_shown_is_tried() -> None:
    tried = (
        *http_examples.ANSWERED,
        *http_examples.FAILING,
        http_examples.DAMAGED,
        *http_examples.WITHOUT_RIGHTS,
        *http_examples.WITHOUT_CACHE,
        *http_examples.WITHOUT_DATABASE,
        *http_examples.WITHOUT_BROKER,
        http_examples.WITH_CITUS,
    )
    keys = {scenario.key for scenario in tried} | set(http_examples.NOT_TO_BE_HAD)
    assert keys == http_examples.shown(DOCUMENT)


@pytest.mark.parametrize("scenario", [*http_examples.ANSWERED, http_examples.AS_LINES], ids=name_of)
async def test_answers_are_as_shown(scenario: Scenario) -> None:
    api = Api(settings=SETTINGS)
    if scenario.stored:
        await api.store(ORDER)
    async with api.client() as client:
        method, url, headers, content = http_examples.request(DOCUMENT, scenario)
        answer = await client.request(method, url, headers=headers, content=content)
    http_examples.assert_as_shown(DOCUMENT, scenario, answer)


@pytest.mark.parametrize("scenario", http_examples.FAILING, ids=name_of)
async def test_what_nobody_has_foreseen_is_as_shown(scenario: Scenario) -> None:
    async with Api().client(**FAILING) as client:
        method, url, headers, content = http_examples.request(DOCUMENT, scenario)
        answer = await client.request(method, url, headers=headers, content=content)
    http_examples.assert_as_shown(DOCUMENT, scenario, answer)


@pytest.mark.parametrize("scenario", http_examples.WITHOUT_RIGHTS, ids=name_of)
async def test_a_missing_right_is_as_shown(scenario: Scenario) -> None:
    async def may_not_read(*_: object) -> Any:
        raise Misconfigured("PostgreSQL denies this user SELECT on table orders")

    async def may_not_send(*_: object) -> Any:
        text = "the brokers did not acknowledge: the user has no right to topic orders"
        raise Misconfigured(text)

    api = Api()
    with (
        patch.object(api.repository, "get", may_not_read),
        patch.object(api.repository, "page", may_not_read),
        patch.object(api.watch, "open", may_not_read),
        patch.object(api.publisher, "publish", may_not_send),
    ):
        async with api.client() as client:
            method, url, headers, content = http_examples.request(DOCUMENT, scenario)
            answer = await client.request(method, url, headers=headers, content=content)
    http_examples.assert_as_shown(DOCUMENT, scenario, answer)


async def test_a_store_without_events_is_as_shown() -> None:
    class Citus(MemoryOrderEvents):
        async def latest_position(self) -> Position:
            raise Unsupported("there are no events where PostgreSQL has Citus")

    watch = WatchOrders(Citus(MemoryOrderRepository()), max_listeners=1)
    async with Api().client(watch=watch) as client:
        method, url, headers, content = http_examples.request(DOCUMENT, http_examples.WITH_CITUS)
        for _ in range(2):
            answer = await client.request(method, url, headers=headers, content=content)
            http_examples.assert_as_shown(DOCUMENT, http_examples.WITH_CITUS, answer)


async def test_a_damaged_order_is_as_shown() -> None:
    class Damaged(MemoryOrderRepository):
        async def get(self, order_uids: object) -> FoundDocuments:
            raise DamagedOrder("the stored order is incomplete: it has no row in payments")

    look_up = LookUpOrder(Damaged(), NoLocalCache(NoCache()))
    scenario = http_examples.DAMAGED
    async with Api().client(look_up=look_up) as client:
        method, url, headers, content = http_examples.request(DOCUMENT, scenario)
        with structlog.testing.capture_logs() as lines:
            response = await client.request(method, url, headers=headers, content=content)
    http_examples.assert_as_shown(DOCUMENT, scenario, response)
    assert "unforeseen error" not in {line["event"] for line in lines}


@pytest.mark.parametrize("name", http_examples.EVERYWHERE)
async def test_what_no_operation_is_for_is_as_shown(name: str) -> None:
    method, url = http_examples.EVERYWHERE[name]
    async with Api().client() as client:
        headers = {"X-Request-ID": REQUEST_ID}
        answer = await client.request(method, url, headers=headers)
    http_examples.assert_is_the_answer_everywhere(DOCUMENT, name, answer)


async def test_all_filters_as_shown_find_the_order() -> None:
    api = Api()
    await api.store(ORDER, msgspec.structs.replace(ORDER, order_uid="another"))
    async with api.client() as client:
        answer = await client.get(http_examples.with_every_filter(DOCUMENT))
    assert answer.content == b"[" + encode(ORDER) + b"]"


def test_the_made_up_order_was_made_up() -> None:
    created = datetime.fromisoformat(RANDOM_ORDER_JSON["date_created"])
    (made,) = RandomOrderGenerator(random.Random(0), lambda: created).generate(1)
    document = msgspec.json.decode(encode(made))
    assert document["payment"]["transaction"] == document["order_uid"]
    document["order_uid"] = document["payment"]["transaction"] = RANDOM_ORDER_JSON["order_uid"]
    assert document == RANDOM_ORDER_JSON


def test_every_code_is_in_the_list() -> None:
    text = DOCUMENT["info"]["description"]
    codes = {
        name.split(".")[0] for _, status, name in http_examples.shown(DOCUMENT) if status >= 400
    }
    codes |= {"unknown-path", "method-not-allowed"}
    for code in codes:
        assert f"| `{code}` |" in text

"""The API on memory twins, with what tests turn and look at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from litestar import Litestar

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.topic import MemoryTopic
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.adapters.read_path.local_cache import BoundedLocalCache
from orders.adapters.read_path.no_cache import NoCache
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Message
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Dependency
from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.domain.use_cases.follow_tombstones import FollowTombstones
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom
from orders.domain.use_cases.watch_orders import WatchOrders
from orders.entrypoints.audit import Audit
from orders.entrypoints.http.app import create_app, create_framework_app
from orders.entrypoints.http.docs.openapi.document import openapi_document
from orders.entrypoints.http.docs.openapi.examples import ORDER
from orders.entrypoints.http.orders import get_order
from orders.entrypoints.http.responses import RawResponse
from orders.entrypoints.http.use_cases import UseCases

SETTINGS = Settings(random_max=20, http_max_body=50_000)


class Part(Dependency):
    """A server that is up, or away for a reason."""

    def __init__(self) -> None:
        self.reason = ""

    async def check(self) -> None:
        if self.reason:
            raise Unavailable(self.reason)


class Served:
    """Calls an application as our connections do."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.answered_at_once = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response: Any = None
        if scope["type"] == "http" and scope["method"] == "GET":
            response = self.app.respond(scope)
        if response is None:
            await self.app(scope, receive, send)
            return
        if isinstance(response, RawResponse):
            self.answered_at_once += 1
        else:
            response = await asyncio.create_task(response)
        await response(scope, receive, send)


@dataclass
class Api:
    """One application and what stands behind it; ``is_cached``: what is stored is cached too."""

    is_cached: bool = False
    repository: MemoryOrderRepository = field(default_factory=MemoryOrderRepository)
    topic: MemoryTopic = field(default_factory=MemoryTopic)
    settings: Settings = SETTINGS
    postgres: Part = field(default_factory=Part)
    kafka: Part = field(default_factory=Part)

    def __post_init__(self) -> None:
        self.publisher = MemoryPublisher(self.topic)
        self.local_cache = BoundedLocalCache(NoCache(), 1_000_000, 10)
        self.erasure = MemoryErasure(self.repository)
        self.watch = WatchOrders(MemoryOrderEvents(self.repository), max_listeners=2)
        self.follow = FollowTombstones(self.erasure, NoCache(), self.local_cache, self.watch)
        self.audited: list[Any] = []

    def use_cases(self, **others: Any) -> UseCases:
        return UseCases(
            **{
                "look_up": LookUpOrder(self.repository, self.local_cache),
                "list_orders": ListOrders(self.repository, self.local_cache.recent),
                "publish_document": PublishDocument(self.publisher),
                "publish_random": PublishRandom(RandomOrderGenerator(), self.publisher),
                "forget": ForgetOrders(self.erasure, self.follow),
                "watch": self.watch,
                "readiness": CheckReadiness({"postgres": self.postgres}, {"kafka": self.kafka}),
                **others,
            }
        )

    def app(self, **others: Any) -> Any:
        def record(line: bytes) -> None:
            self.audited.append(msgspec.json.decode(line))

        made = create_app(
            self.use_cases(**others),
            self.settings,
            audit=Audit(record, "api", self.settings.audit_key),
        )
        return Served(made)

    @asynccontextmanager
    async def client(self, **others: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the app; ``others`` stand in for use cases."""
        transport = httpx.ASGITransport(self.app(**others))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client

    @property
    def sent(self) -> list[Message]:
        """What is on the topic."""
        return [message for partition in self.topic.partitions for message in partition]

    async def store(self, *orders: Order) -> None:
        report = await self.repository.save_many(orders)
        assert len(report.saved) == len(orders)
        if self.is_cached:
            await self.local_cache.put({order.order_uid: encode(order) for order in orders})


def framework_app() -> Litestar:
    """The routes that Litestar serves, on memory."""
    return create_framework_app(Api().use_cases(), Settings())


def openapi() -> dict[str, Any]:
    """The OpenAPI document, as clients decode it."""
    document = openapi_document(framework_app(), *get_order.DOCUMENTED)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return decoded


def order(uid: str = "uid", **changes: Any) -> Order:
    return msgspec.structs.replace(ORDER, order_uid=uid, **changes)


def series(amount: int) -> list[Order]:
    """Orders a minute apart, the oldest first."""
    start = datetime(2021, 1, 1, tzinfo=UTC)
    return [order(f"o{i}", date_created=start + timedelta(minutes=i)) for i in range(amount)]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem details of an answer that must be this problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"].endswith(code)
    assert found["title"]
    assert found["detail"]
    assert found["request_id"] == answer.headers["x-request-id"]
    return found

"""A program that serves API and page on memory twins, with uids and amounts that have bad days.

python serving.py PORT WORKERS GRACE SCENARIO
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.order.model import Order
from orders.domain.order.queries import FoundDocuments
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom
from orders.domain.use_cases.watch_orders import WatchOrders
from orders.entrypoints import logs
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.server import serve
from orders.entrypoints.startup import in_background
from tests.integration.browser import stock
from tests.unit.http.harness import Api

ARRIVAL_SECONDS = 0.5
REFUSED, CRASHING, LOST = 13, 14, 15
"""So many random orders at a time are refused, break the server's way, are taken and not stored."""

BROKEN_OFF = "broken off"
"""The answer with this order ends before it is all there."""


class Scripted(MemoryOrderRepository):
    """Some uids do what real servers do on bad days."""

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        (uid,) = order_uids
        if uid == "slow":
            await asyncio.sleep(1000)
        if uid == "takes a while":
            await asyncio.sleep(1)
        if uid == "away":
            raise Unavailable("the database is down")
        if uid == "broken":
            raise RuntimeError("unforeseen")
        return await super().get(order_uids)


class Arriving(MemoryPublisher):
    """What is published is stored a moment later."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.topic)
        self._api = api
        self._under_way: set[asyncio.Task[None]] = set()

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        if len(orders) == REFUSED:
            raise Unavailable("the topic is down")
        if len(orders) == CRASHING:
            raise RuntimeError("unforeseen")
        await super().publish(orders, headers)
        if len(orders) != LOST:
            task = asyncio.create_task(self._store(orders))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _store(self, orders: Sequence[Order]) -> None:
        await asyncio.sleep(ARRIVAL_SECONDS)
        await self._api.store(*orders)


def create() -> Any:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await api.store(*stock.OF_SCENARIO.get(os.environ["SCENARIO"], stock.ALL))
        async with in_background(watch.run()):
            yield

    settings = Settings(
        random_max=20,
        http_max_body=5_000_000,
        page_money="minor" if os.environ["SCENARIO"] == "minor" else "major",
    )
    api = Api(repository=Scripted(), settings=settings)
    publisher = Arriving(api)
    watch = WatchOrders(MemoryOrderEvents(api.repository), max_listeners=100)
    use_cases = api.use_cases(
        watch=watch,
        publish_document=PublishDocument(publisher),
        publish_random=PublishRandom(RandomOrderGenerator(), publisher),
    )
    app = create_app(use_cases, api.settings, lifespan)

    async def with_broken_answers(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != f"/orders/{BROKEN_OFF}":
            await app(scope, receive, send)
            return
        length = (b"content-length", b"1000")
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": b'{"order_uid":', "more_body": True})

    return with_broken_answers


if __name__ == "__main__":
    port, workers, grace, os.environ["SCENARIO"] = sys.argv[1:]
    logs.configure("info", "json", process="api")
    sys.exit(serve(create, "127.0.0.1", int(port), int(workers), int(grace)))

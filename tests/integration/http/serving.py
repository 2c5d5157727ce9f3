"""A program that serves the API on memory twins, in one of several scenarios.

python serving.py PORT WORKERS GRACE SCENARIO
"""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.config import Settings
from orders.domain.errors import Unavailable, UnknownSchema
from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.events import EventPage, OrderEvent, Position
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import OrderEvents
from orders.domain.use_cases.watch_orders import WatchOrders
from orders.entrypoints import logs
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.connection import Connection
from orders.entrypoints.http.server import READER_TIMEOUT, serve
from orders.entrypoints.startup import in_background
from tests.unit.http.harness import Api, order, series

SECRET = "postgresql://orders:hunter2@db.example/orders"
MANY_PAGES = 2000
LONG = 50


class Scripted(MemoryOrderRepository):
    """Some uids and filters do what real servers do on bad days."""

    def __init__(self) -> None:
        super().__init__()
        self.pages_read = 0
        self.document = encode(order("big", entry="x" * 1000))

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        (uid,) = order_uids
        if uid in {"slow", "stuck", "takes a while"}:
            sys.stderr.write(f"began /orders/{uid}\n")
            sys.stderr.flush()
        if uid == "slow":
            await asyncio.sleep(1000)
        if uid == "stuck":
            time.sleep(1000)  # noqa: ASYNC251, holds the event loop up on purpose
        if uid == "takes a while":
            await asyncio.sleep(2.5)
        if uid == "takes a moment":
            await asyncio.sleep(0.05)
        if uid in {"pages read", "set apart", "connections"}:
            return FoundDocuments({uid: b'{"number":%d}' % self._number(uid)})
        if uid == "huge":
            return FoundDocuments({uid: b'{"order_uid":"%s"}' % (b"x" * 8_000_000)})
        if uid.startswith("echo "):
            return FoundDocuments({uid: msgspec.json.encode({"order_uid": uid})})
        return await super().get(order_uids)

    def _number(self, uid: str) -> int:
        if uid == "pages read":
            return self.pages_read
        if uid == "set apart":
            return gc.get_freeze_count()
        # Also those that have ended, where the collector is off.
        return sum(isinstance(each, Connection) for each in gc.get_objects())

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        if query.customer_id == "breaks" and after:
            raise Unavailable("the database went away")
        if query.customer_id == "crashes" and after:
            raise RuntimeError(SECRET)
        if query.customer_id in {"breaks", "crashes", "endless", "long"}:
            self.pages_read += 1
            when = order().date_created
            orders = tuple([StoredOrder("big", when, self.document)] * limit)
            last = LONG if query.customer_id == "long" else MANY_PAGES
            return Page(orders, Cursor(when, "big") if self.pages_read < last else None)
        if query.customer_id == "large":
            self.pages_read += 1
            await asyncio.sleep(0.01)  # as a database does
            document = encode(order("big", entry="x" * 7000))
            return Page(tuple([StoredOrder("big", order().date_created, document)] * limit))
        return await super().page(query, limit, after)


class EndlessEvents(OrderEvents):
    """There are always more."""

    async def latest_position(self) -> Position:
        return Position(1, "")

    async def events(self, after: Position, limit: int) -> EventPage:
        await asyncio.sleep(0.01)  # as a database does
        uid = "x" * 1000
        numbers = range(after.transaction + 1, after.transaction + limit + 1)
        return EventPage([OrderEvent(Position(n, uid), uid, None) for n in numbers], 0)


async def fail_later(error: BaseException) -> None:
    await asyncio.sleep(0.2)
    raise error


def create() -> Any:
    scenario = os.environ["SCENARIO"]
    if scenario == "wrong configuration":
        raise SystemExit(2)
    if scenario == "cannot be made":
        raise RuntimeError(SECRET)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await api.store(*series(30))
        if scenario == "unknown schema":
            raise UnknownSchema("the schema is of a later version: update orders")
        if scenario == "broken lifespan":
            raise RuntimeError(SECRET)
        gives_up = scenario == "gives up later"
        task = asyncio.create_task(fail_later(SystemExit(2))) if gives_up else None
        if scenario == "without collector":
            gc.disable()
        sys.stderr.write("opened\n")
        async with in_background(watch.run()):
            yield
        sys.stderr.write("closed in order\n")
        del task

    api = Api(repository=Scripted(), is_cached=True)
    watch = WatchOrders(EndlessEvents(), max_listeners=2)
    # Room for any body that schemathesis makes: it does not know that one may be too large.
    return create_app(api.use_cases(watch=watch), Settings(random_max=20), lifespan)


if __name__ == "__main__":
    port, workers, grace, os.environ["SCENARIO"] = sys.argv[1:]
    logs.configure("info", "json", process="api")
    health = os.environ.get("HEALTH_PORT")
    certificate, tls_key = os.environ.get("TLS_CERTIFICATE"), os.environ.get("TLS_KEY")
    sys.exit(
        serve(
            create,
            "127.0.0.1",
            int(port),
            int(workers),
            int(grace),
            reader_timeout=1 if sys.argv[-1] == "impatient" else READER_TIMEOUT,
            tls=(Path(certificate), Path(tls_key)) if certificate and tls_key else None,
            health=("127.0.0.1", int(health)) if health else None,
        )
    )

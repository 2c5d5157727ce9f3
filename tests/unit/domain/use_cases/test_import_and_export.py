"""Imports and exports, with the twins in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.order_sink import MemoryOrderSink
from orders.adapters.memory.order_source import MemoryOrderSource
from orders.domain.errors import TooLarge, Unavailable
from orders.domain.intake.faults import Fault
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.queries import OrderQuery
from orders.domain.ports import Publisher, SourceEntry, Unreadable
from orders.domain.use_cases.export_orders import CHUNK, ExportOrders
from orders.domain.use_cases.import_orders import (
    ImportOrders,
    ImportReport,
    RefusedOrder,
    SendToTopic,
    StoreDirectly,
)
from tests import strategies
from tests.builders import order_bytes
from tests.contracts.order_repository import newest

OTHER = order_bytes("a").replace(b"WBILMTESTTRACK", b"OTHERTRACK")


def entries(*contents: Order | bytes | Unreadable) -> list[SourceEntry]:
    return [SourceEntry(f"line {n}", content) for n, content in enumerate(contents, 1)]


def order_of(raw: bytes) -> Order:
    return read(raw).accepted[0].order


class SmallTopic(Publisher):
    """Takes no order of more than ``most`` bytes, and none at all together with one."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.sent: list[Order] = []
        self._most = most

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        if any(len(encode(order)) > self._most for order in orders):
            raise TooLarge("an order is larger than the topic accepts")
        self.sent += orders


class TestImport:
    @pytest.fixture
    def repository(self) -> MemoryOrderRepository:
        return MemoryOrderRepository()

    async def run(
        self, repository: MemoryOrderRepository, *contents: Order | bytes | Unreadable
    ) -> tuple[ImportReport, list[RefusedOrder]]:
        refused: list[RefusedOrder] = []
        source = MemoryOrderSource(entries(*contents), size=4)
        use_case = ImportOrders(StoreDirectly(repository))
        return await use_case(source, on_refused=refused.extend), refused

    async def test_stores_and_says_what_was_there(self, repository: MemoryOrderRepository) -> None:
        documents = [order_bytes(uid) for uid in "abcdef"]
        assert await self.run(repository, *documents) == (ImportReport(stored=6), [])
        assert await self.run(repository, *documents) == (ImportReport(unchanged=6), [])
        assert len(await repository.get("abcdef")) == 6

    async def test_reports_what_is_refused_and_stores_the_rest(
        self, repository: MemoryOrderRepository
    ) -> None:
        negative = order_bytes("n").replace(b'"amount": 1817', b'"amount": -1')
        half = Unreadable("invalid", Fault(("delivery",), "is required"))
        report, refused = await self.run(
            repository, b"{", order_bytes("a"), b"null", negative, half, order_bytes("b")
        )
        assert report.stored == 2
        assert report.refused == {"undecodable": 1, "empty": 1, "invalid": 2}
        assert report.entries == 6
        assert [(one.position, one.code, one.raw) for one in refused] == [
            ("line 1", "undecodable", b"{"),
            ("line 3", "empty", b"null"),
            ("line 4", "invalid", negative),
            ("line 5", "invalid", b""),
        ]
        assert refused[2].reason.startswith("$.payment.amount: ")
        assert refused[3].reason == "$.delivery: is required"

    async def test_the_first_of_an_order_uid_stays(self, repository: MemoryOrderRepository) -> None:
        report, refused = await self.run(
            repository, order_bytes("a"), OTHER, order_bytes("a"), order_of(OTHER), OTHER
        )
        assert (report.stored, report.unchanged, report.refused) == (1, 1, {"conflict": 3})
        assert [one.position for one in refused] == ["line 2", "line 4", "line 5"]
        assert refused[0].raw == OTHER
        assert refused[1].raw == encode(order_of(OTHER))
        assert (await repository.get("a"))["a"] == encode(order_of(order_bytes("a")))

    async def test_what_was_forgotten_stays_so_and_is_not_written_down(
        self, repository: MemoryOrderRepository
    ) -> None:
        await MemoryErasure(repository).forget(["a"])
        report, refused = await self.run(repository, order_bytes("a"), order_bytes("b"))
        assert (report.stored, report.forgotten, refused) == (1, 1, [])

    async def test_an_array_in_a_line(self, repository: MemoryOrderRepository) -> None:
        line = b"[" + order_bytes("a") + b",1," + order_bytes("b") + b"]"
        report, refused = await self.run(repository, line)
        assert report.stored == 2
        assert [(one.position, one.raw) for one in refused] == [("line 1", b"1")]

    async def test_stops_between_batches(self, repository: MemoryOrderRepository) -> None:
        source = MemoryOrderSource(entries(*(order_bytes(uid) for uid in "abcdef")), size=2)
        seen: list[int] = []
        report = await ImportOrders(StoreDirectly(repository))(
            source,
            progress=lambda current: seen.append(current.entries),
            wants_stop=lambda: bool(seen),
        )
        assert (report.is_stopped, report.stored, seen) == (True, 2, [2])

    async def test_stops_while_the_source_has_no_more_yet(
        self, repository: MemoryOrderRepository
    ) -> None:
        class Pipe(MemoryOrderSource):
            async def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
                async for batch in super().batches():
                    yield batch
                await asyncio.Event().wait()

        seen: list[int] = []
        report = await ImportOrders(StoreDirectly(repository))(
            Pipe(entries(order_bytes("a"))),
            progress=lambda current: seen.append(current.entries),
            wants_stop=lambda: bool(seen),
        )
        assert (report.is_stopped, report.stored) == (True, 1)

    async def test_an_error_of_the_store_ends_it(self, repository: MemoryOrderRepository) -> None:
        repository.available = False
        with pytest.raises(Unavailable):
            await self.run(repository, order_bytes("a"))

    async def test_an_error_of_the_source_comes_after_what_it_gave(
        self, repository: MemoryOrderRepository
    ) -> None:
        class Breaking(MemoryOrderSource):
            async def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
                async for batch in super().batches():
                    yield batch
                raise Unavailable("cannot read")

        with pytest.raises(Unavailable):
            await ImportOrders(StoreDirectly(repository))(Breaking(entries(order_bytes("a"))))
        assert await repository.get("a")


async def test_sends_all_but_what_is_too_large() -> None:
    topic = SmallTopic(most=len(order_bytes("0")) + 100)
    good = [order_of(order_bytes(str(n))) for n in range(7)]
    large = msgspec.structs.replace(good[0], order_uid="large", entry="x" * 1_000)
    refused: list[RefusedOrder] = []
    source = MemoryOrderSource(entries(*good[:3], large, *good[3:]), size=100)
    report = await ImportOrders(SendToTopic(topic))(source, on_refused=refused.extend)
    assert (report.sent, report.refused) == (7, {"too-large": 1})
    assert topic.sent == good
    assert [one.position for one in refused] == ["line 4"]


@given(st.lists(strategies.orders(), max_size=5, unique_by=lambda order: order.order_uid))
async def test_what_is_exported_and_imported_is_the_same_bytes(orders: list[Order]) -> None:
    first, second = MemoryOrderRepository(), MemoryOrderRepository()
    await first.save_many(orders)
    sink = MemoryOrderSink()
    report = await ExportOrders(first)(OrderQuery(), sink)
    assert report.orders == len(orders)
    assert sink.documents is not None
    await ImportOrders(StoreDirectly(second))(MemoryOrderSource(entries(*sink.documents)))
    uids = [order.order_uid for order in orders]
    assert await second.get(uids) == await first.get(uids)


class TestExport:
    @pytest.fixture
    async def repository(self) -> MemoryOrderRepository:
        made = MemoryOrderRepository()
        order = order_of(order_bytes("a"))
        uids = [f"uid-{n:05}" for n in range(CHUNK + 1)]
        orders = [msgspec.structs.replace(order, order_uid=uid, customer_id=uid) for uid in uids]
        await made.save_many(orders)
        return made

    async def test_writes_all_newest_first(self, repository: MemoryOrderRepository) -> None:
        sink = MemoryOrderSink()
        seen: list[int] = []
        await ExportOrders(repository)(OrderQuery(), sink, progress=seen.append)
        stored = await newest(repository, CHUNK + 1)
        assert sink.documents == [order.document for order in stored]
        assert seen == [CHUNK, CHUNK + 1]

    async def test_writes_what_matches(self, repository: MemoryOrderRepository) -> None:
        sink = MemoryOrderSink()
        await ExportOrders(repository)(OrderQuery(customer_id="uid-00007"), sink)
        assert sink.documents == list((await repository.get(["uid-00007"])).values())

    async def test_a_stop_leaves_nothing(self, repository: MemoryOrderRepository) -> None:
        sink = MemoryOrderSink()
        seen: list[int] = []
        report = await ExportOrders(repository)(
            OrderQuery(), sink, progress=seen.append, wants_stop=lambda: bool(seen)
        )
        assert (report.is_stopped, sink.documents) == (True, None)

    async def test_an_error_leaves_nothing(self, repository: MemoryOrderRepository) -> None:
        sink = MemoryOrderSink()

        def goes_down(_: int) -> None:
            repository.available = False

        with pytest.raises(Unavailable):
            await ExportOrders(repository)(OrderQuery(), sink, progress=goes_down)
        assert sink.documents is None

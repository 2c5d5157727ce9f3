"""Following tombstones, forgetting and purging, on memory; races with caches step by step."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.read_path.local_cache import BoundedLocalCache
from orders.adapters.read_path.order_reader import CachedOrderReader
from orders.domain.errors import NotFound, Unavailable
from orders.domain.order.document import encode
from orders.domain.order.queries import FoundDocuments, OrderQuery
from orders.domain.use_cases import follow_tombstones, forget_orders
from orders.domain.use_cases.follow_tombstones import FollowTombstones
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.purge_orders import PurgeOrders, PurgeProgress
from orders.domain.use_cases.warm_up_cache import WarmUpCache
from tests.contracts.order_repository import NOON, newest, numbered, order_of, uids
from tests.waiting import settle, until


class Store(MemoryOrderRepository):
    """A store whose answers can be held back, after they were read."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        found = await super().get(order_uids)
        await self.open.wait()
        return found


class Process:
    """An API process, with the server in common."""

    def __init__(self, store: Store, server: MemoryCache) -> None:
        self.shared = Client(server)
        self.local = BoundedLocalCache(self.shared, 1_000_000, 100, flush_interval=0.01)
        self.reader = CachedOrderReader(store, self.shared, self.local)
        self.look_up = LookUpOrder(self.reader, self.local)
        self.erasure = MemoryErasure(store)
        self.follow = FollowTombstones(self.erasure, self.shared, self.local)
        self.forget = ForgetOrders(self.erasure, self.follow)

    async def has(self, uid: str) -> bool:
        if self.local.peek(uid):
            return True
        try:
            return bool(await self.look_up(uid))
        except NotFound:
            return False


class Client(CircuitBreakerCache):
    """A client of a server with a position of its own, as ``RedisCache`` has."""

    def __init__(self, server: MemoryCache) -> None:
        super().__init__(server)
        self._own = 0

    @property
    def position(self) -> int:
        return self._own

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        server = self._cache
        assert isinstance(server, MemoryCache)
        server._position = self._own
        return await super().get(order_uids)

    async def forget(self, tombstones: object, since: int) -> None:
        server = self._cache
        assert isinstance(server, MemoryCache)
        server._position = self._own
        try:
            await super().forget(tombstones, since)  # type: ignore[arg-type]
        finally:
            self._own = max(self._own, server._position)


class Setting:
    def __init__(self) -> None:
        self.store = Store()
        self.server = MemoryCache(100)
        self.first = Process(self.store, self.server)
        self.second = Process(self.store, self.server)


@pytest.fixture
async def setting() -> Setting:
    made = Setting()
    for process in (made.first, made.second):
        await process.local.open()
        await process.follow()
    return made


async def test_every_process_and_the_shared_cache_drop_it(setting: Setting) -> None:
    first, second = setting.first, setting.second
    await setting.store.save_many([order_of("a"), order_of("b")])
    for process in (first, second):
        assert await process.has("a")
        assert await process.has("b")
    assert await first.forget(["a"]) == 1
    assert not await first.has("a")
    assert await second.has("a")  # it has not heard of it yet
    assert await second.follow() == 1
    assert not await second.has("a")
    assert await second.has("b")
    assert set(await setting.server.get(["a", "b"])) <= {"b"}


async def test_a_look_up_that_read_it_before_does_not_bring_it_back(setting: Setting) -> None:
    first, second = setting.first, setting.second
    await setting.store.save_many([order_of("a")])
    setting.store.open.clear()
    late = asyncio.create_task(second.has("a"))
    await settle()  # it has read the order, and the answer is on its way
    await first.forget(["a"])
    await second.follow()
    setting.store.open.set()
    assert not await late
    assert second.local.peek("a") is None
    assert await setting.server.get(["a"]) == {}
    assert not await second.has("a")


async def on_standby(setting: Setting) -> tuple[Store, Process]:
    """A standby with two orders, and a process that has its tombstones from another server."""
    standby = Store()
    for store in (setting.store, standby):
        await store.save_many([order_of("a"), order_of("b")])
    process = Process(standby, setting.server)
    process.follow = FollowTombstones(setting.first.erasure, process.shared, process.local)
    await process.local.open()
    return standby, process


async def test_a_standby_that_lacks_the_deletion_does_not_bring_it_back(setting: Setting) -> None:
    standby, process = await on_standby(setting)
    await process.follow()
    await setting.first.forget(["a"])
    assert await process.follow() == 1
    assert not await process.has("a")
    assert await process.has("b")
    lists = ListOrders(standby, process.local.recent)
    assert uids((await lists.page(OrderQuery(), 9)).orders) == ["b"]
    assert [uids(chunk) async for chunk in lists.stream(OrderQuery())] == [["b"]]
    await WarmUpCache(standby, process.shared, 9)()
    assert set(await setting.server.get(["a", "b"])) == {"b"}
    assert await setting.second.follow() == 1
    assert not await setting.second.has("a")


async def test_a_standby_that_lacks_more_than_is_remembered_is_not_read(setting: Setting) -> None:
    standby, process = await on_standby(setting)
    await setting.first.forget(["a"])
    await process.follow()  # the first call only reads the latest position
    lists = ListOrders(standby, process.local.recent)
    for uid in "ab":
        with pytest.raises(Unavailable, match="behind"):
            await process.has(uid)
    for read in (lists.page(OrderQuery(), 9), anext(lists.stream(OrderQuery()))):
        with pytest.raises(Unavailable, match="behind"):
            await read
    standby.remove("a")
    standby.tombstones |= setting.store.tombstones
    assert await process.has("b")
    assert uids((await lists.page(OrderQuery(), 9)).orders) == ["b"]


async def test_a_process_that_hears_of_it_late_does_not_bring_it_back(setting: Setting) -> None:
    first, second = setting.first, setting.second
    await setting.store.save_many([order_of("a")])
    assert await second.has("a")
    await first.forget(["a"])
    await second.shared.put({"a": encode(order_of("a"))}, second.shared.position)
    assert await setting.server.get(["a"]) == {}


async def test_a_shared_cache_that_was_down_is_emptied(setting: Setting) -> None:
    first, second = setting.first, setting.second
    await setting.store.save_many([order_of("a"), order_of("b")])
    assert await first.has("a")
    await setting.server.put({"a": encode(order_of("a"))})
    setting.server.available = False
    assert await first.forget(["a"]) == 1
    setting.server.available = True
    assert not await first.has("a")
    late = Process(setting.store, setting.server)  # started after all of it
    await setting.server.put({"a": encode(order_of("a"))})
    await late.follow()
    assert not await late.has("a")
    await second.follow()
    assert not await second.has("a")


async def test_with_the_store_down_following_goes_on_later(setting: Setting) -> None:
    setting.store.available = False
    with pytest.raises(Unavailable):
        await setting.first.forget(["a"])
    with pytest.raises(Unavailable):
        await setting.first.follow()
    setting.store.available = True
    await setting.second.forget(["a"])
    assert await setting.first.follow() == 1


async def test_running_applies_what_others_forget(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_tombstones, "INTERVAL", 0.001)
    await setting.store.save_many([order_of("a")])
    assert await setting.second.has("a")
    running = asyncio.create_task(setting.second.follow.run())
    await setting.first.forget(["a"])
    await until(lambda: setting.second.local.peek("a") is None)
    running.cancel()


async def test_many_at_once(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget_orders, "CHUNK", 3)
    monkeypatch.setattr(follow_tombstones, "PAGE", 2)
    batch = numbered(10)
    await setting.store.save_many(batch)
    assert await setting.first.forget(uids(batch[:8])) == 8
    assert await setting.second.follow() == 8
    assert len(await newest(setting.store, 20)) == 2


class TestPurge:
    async def test_the_oldest_go_first_and_it_can_be_stopped(
        self, setting: Setting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orders.domain.use_cases.purge_orders.CHUNK", 3)
        batch = numbered(10)
        await setting.store.save_many(batch)
        assert await setting.second.has("uid-0000")
        purge = PurgeOrders(setting.first.erasure, setting.first.forget)
        seen: list[PurgeProgress] = []
        purged: list[str] = []
        bound = NOON + timedelta(seconds=8)
        dry = await purge(bound, dry_run=True)
        assert (dry.orders, dry.is_stopped) == (8, False)
        assert len(await newest(setting.store, 20)) == 10
        stopped = await purge(
            bound,
            progress=seen.append,
            wants_stop=lambda: len(seen) == 2,
            on_purged=lambda some, _: purged.extend(some),
        )
        assert (stopped.orders, stopped.is_stopped) == (6, True)
        assert purged == uids(batch[:6])
        assert seen == [
            PurgeProgress(3, NOON + timedelta(seconds=2)),
            PurgeProgress(6, NOON + timedelta(seconds=5)),
        ]
        rest = await purge(bound)
        assert (rest.orders, rest.is_stopped) == (2, False)
        assert [order.order_uid for order in await newest(setting.store, 20)] == uids(batch[:7:-1])
        assert (await setting.store.save_many(batch[:1])).forgotten == {"uid-0000"}
        await setting.second.follow()
        assert not await setting.second.has("uid-0000")

    async def test_a_chunk_whose_answer_is_lost_is_reported(
        self, setting: Setting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await setting.store.save_many(numbered(2))
        erasure = setting.first.erasure
        forget = erasure.forget

        async def forget_without_answer(uids: Collection[str]) -> int:
            await forget(uids)
            raise Unavailable("the connection to PostgreSQL failed")

        monkeypatch.setattr(erasure, "forget", forget_without_answer)
        purge = PurgeOrders(erasure, setting.first.forget)
        reported: list[tuple[list[str], str]] = []
        with pytest.raises(Unavailable):
            await purge(NOON + timedelta(days=1), on_purged=lambda *purged: reported.append(purged))
        assert reported == [(["uid-0000", "uid-0001"], "unavailable")]
        assert await newest(setting.store, 20) == []

    async def test_tombstones_are_dropped_but_the_latest(self, setting: Setting) -> None:
        purge = PurgeOrders(setting.first.erasure, setting.first.forget)
        await setting.first.forget(["a", "b", "c"])
        later = datetime.now(UTC) + timedelta(hours=1)
        assert (await purge(None, later, dry_run=True)).tombstones == 0
        assert (await purge(None, later)).tombstones == 2
        assert await setting.first.erasure.forgotten_among(["a", "b", "c"]) == {"c"}

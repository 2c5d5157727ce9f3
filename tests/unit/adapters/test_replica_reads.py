"""Reads from a replica, on in-memory stores."""

import asyncio
from collections.abc import Collection
from itertools import cycle

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.circuit_breaker import CircuitBreaker
from orders.adapters.read_path.no_cache import NoCache
from orders.adapters.read_path.replica_reads import ReplicaReads
from orders.domain.errors import DamagedOrder, OrdersError, Unavailable
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import OrderRepository
from tests.contracts.order_repository import OrderRepositoryContract, numbered, uids


class Counted(MemoryOrderRepository):
    """Notes what it is asked, and fails with ``failure``, or never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None
        self.frozen = False

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        self.asked.append(sorted(order_uids))
        await self._answer()
        return await super().get(order_uids)

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        self.asked.append([])
        await self._answer()
        return await super().page(query, limit, after)

    async def _answer(self) -> None:
        if self.frozen:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure


class InTurn(Counted):
    """Leads to several servers, one after the other."""

    def __init__(self, *stores: MemoryOrderRepository) -> None:
        super().__init__()
        self._stores = cycle(stores)

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        return await next(self._stores).get(order_uids)

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        return await next(self._stores).page(query, limit, after)


@pytest.fixture
def primary() -> Counted:
    return Counted()


@pytest.fixture
def replica() -> Counted:
    return Counted()


@pytest.fixture
def cache() -> NoCache:
    return NoCache()


@pytest.fixture
def reads(primary: Counted, replica: Counted, cache: NoCache) -> ReplicaReads:
    return ReplicaReads(
        primary,
        replica,
        cache,
        breaker=CircuitBreaker("the replica", timeout=0.05, failures=1, shortest=60),
    )


class TestReplicaReads(OrderRepositoryContract):
    """Without lag."""

    @pytest.fixture
    def repository(self) -> OrderRepository:
        store = MemoryOrderRepository()
        return ReplicaReads(store, store, NoCache())

    @pytest.fixture
    def reopened(self, repository: OrderRepository) -> OrderRepository:
        return repository


async def test_only_what_the_replica_lacks_is_asked_of_the_primary(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    old, new = numbered(2, "old"), numbered(2, "new")
    await primary.save_many([*old, *new])
    await replica.save_many(old)
    assert len(await reads.get(uids(old))) == 2
    assert primary.asked == []
    assert len(await reads.get([*uids(old), *uids(new), "unknown"])) == 4
    assert primary.asked == [[*uids(new), "unknown"]]


@pytest.mark.parametrize(
    "failure", [Unavailable("down"), DamagedOrder("incomplete"), OrdersError("odd"), None]
)
async def test_a_replica_that_fails_or_is_frozen_costs_no_answer(
    reads: ReplicaReads, primary: Counted, replica: Counted, failure: Exception | None
) -> None:
    batch = numbered(3)
    await primary.save_many(batch)
    await replica.save_many(batch)
    replica.failure, replica.frozen = failure, failure is None
    assert len(await reads.get(uids(batch))) == 3
    assert len(primary.asked) == 1


async def test_a_replica_that_is_down_is_not_asked_again_for_a_while(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    batch = numbered(3)
    await primary.save_many(batch)
    replica.failure = Unavailable("down")
    assert len((await reads.page(OrderQuery(), 9)).orders) == 3
    for _ in range(5):
        assert len(await reads.get(uids(batch))) == 3
        assert len((await reads.page(OrderQuery(), 9)).orders) == 3
    assert len(replica.asked) == 1


async def test_without_both_it_is_unavailable(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    primary.failure = replica.failure = Unavailable("down")
    with pytest.raises(Unavailable):
        await reads.get(["uid"])
    with pytest.raises(Unavailable):
        await reads.page(OrderQuery(), 9)


async def test_what_the_replica_has_is_found_though_the_primary_is_down(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    old = numbered(2, "old")
    await replica.save_many(old)
    primary.failure = Unavailable("down")
    with pytest.raises(Unavailable) as raised:
        await reads.get([*uids(old), "unknown"])
    assert sorted(raised.value.found) == uids(old)


async def test_writes_go_to_the_primary(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    await reads.save_many(numbered(3))
    assert len((await primary.page(OrderQuery(), 9)).orders) == 3
    assert not (await replica.page(OrderQuery(), 9)).orders


async def test_a_replica_that_has_not_forgotten_yet_is_left_out_for_a_while(
    primary: Counted, replica: Counted, cache: NoCache
) -> None:
    now = 0.0
    reads = ReplicaReads(primary, replica, cache, clock=lambda: now)
    batch = numbered(2)
    for store in (primary, replica):
        await store.save_many(batch)
    gone, kept = uids(batch)
    assert set(await reads.get([gone])) == {gone}
    assert not primary.asked
    erasure = MemoryErasure(primary)
    await erasure.forget([gone])
    await cache.forget(await erasure.tombstones(0, 9), 0)
    replica.asked.clear()
    for _ in range(3):
        assert set(await reads.get([gone, kept])) == {kept}
        assert uids((await reads.page(OrderQuery(), 9)).orders) == [kept]
    assert len(replica.asked) == 1
    now += 1
    assert uids((await reads.page(OrderQuery(), 9)).orders) == [kept]
    assert len(replica.asked) == 2
    tombstones = await erasure.tombstones(0, 9)
    replica.remove(gone)
    replica.tombstones |= {each.order_uid: each.position for each in tombstones}
    now += 1
    primary.asked.clear()
    assert set(await reads.get([kept])) == {kept}
    assert uids((await reads.page(OrderQuery(), 9)).orders) == [kept]
    assert not primary.asked


async def test_replicas_of_different_age_are_told_apart(
    primary: Counted, replica: Counted, cache: NoCache
) -> None:
    older = Counted()
    batch = numbered(2)
    for store in (primary, replica, older):
        await store.save_many(batch)
    gone, kept = uids(batch)
    for store in (primary, replica):
        await MemoryErasure(store).forget([gone])
    replica.tombstones = dict(primary.tombstones)
    await cache.forget(await MemoryErasure(primary).tombstones(0, 9), 0)
    now = 0.0
    reads = ReplicaReads(primary, InTurn(replica, older), cache, clock=lambda: now)
    for _ in range(4):
        now += 1
        found = await reads.get([gone, kept])
        assert set(found) == {kept}
        assert found.as_of >= cache.position
        page = await reads.page(OrderQuery(), 9)
        assert uids(page.orders) == [kept]
        assert page.as_of >= cache.position
    assert replica.asked
    assert older.asked


async def test_what_comes_from_both_is_as_old_as_the_older_one(
    reads: ReplicaReads, primary: Counted, replica: Counted
) -> None:
    await primary.save_many(numbered(2))
    await replica.save_many(numbered(1))
    await MemoryErasure(replica).forget(["earlier"])
    await MemoryErasure(primary).forget(["later"])
    await MemoryErasure(primary).forget(["later"])
    found = await reads.get(uids(numbered(2)))
    assert len(found) == 2
    assert found.as_of == replica.tombstones["earlier"]

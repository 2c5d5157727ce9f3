"""Reads from a replica, on in-memory stores."""

import asyncio
from collections.abc import Collection

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.circuit_breaker import CircuitBreaker
from orders.adapters.read_path.no_cache import NoCache
from orders.adapters.read_path.replica_reads import ReplicaReads
from orders.domain.errors import DamagedOrder, OrdersError, Unavailable
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.ports import OrderRepository
from tests.contracts.order_repository import OrderRepositoryContract, numbered, uids


class Counted(MemoryOrderRepository):
    """Notes what it is asked, and fails with ``failure``, or never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None
        self.frozen = False

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
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
        MemoryErasure(replica),
        cache,
        breaker=CircuitBreaker("the replica", timeout=0.05, failures=1, shortest=60),
    )


class TestReplicaReads(OrderRepositoryContract):
    """Without lag."""

    @pytest.fixture
    def repository(self) -> OrderRepository:
        store = MemoryOrderRepository()
        return ReplicaReads(store, store, MemoryErasure(store), NoCache())

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


async def test_a_replica_that_has_not_forgotten_yet_is_left_out(
    primary: Counted, replica: Counted, cache: NoCache
) -> None:
    now = 0.0
    reads = ReplicaReads(primary, replica, MemoryErasure(replica), cache, clock=lambda: now)
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
    assert set(await reads.get([gone, kept])) == {kept}
    assert [order.order_uid for order in (await reads.page(OrderQuery(), 9)).orders] == [kept]
    assert [order.order_uid for order in await reads.latest(9)] == [kept]
    assert not replica.asked
    await MemoryErasure(replica).forget([gone])  # it has replayed that, if not noticed yet
    assert set(await reads.get([gone, kept])) == {kept}
    assert not replica.asked
    now += 1
    assert set(await reads.get([kept])) == {kept}
    assert replica.asked

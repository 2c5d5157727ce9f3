"""Many listeners share one poll."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.no_cache import NoCache
from orders.domain.errors import Unavailable
from orders.domain.order.events import EventPage, OrderEvent, Position
from orders.domain.use_cases import watch_orders
from orders.domain.use_cases.follow_tombstones import FollowTombstones
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.watch_orders import Listener, WatchOrders
from orders.entrypoints.startup import in_background
from tests.contracts.order_repository import numbered, order_of
from tests.waiting import settle, until


class Counted(MemoryOrderEvents):
    """Counts how often it is asked for events."""

    asked = 0

    async def events(self, after: Position, limit: int) -> EventPage:
        self.asked += 1
        return await super().events(after, limit)


@pytest.fixture
def repository() -> MemoryOrderRepository:
    return MemoryOrderRepository()


@pytest.fixture
def events(repository: MemoryOrderRepository) -> Counted:
    return Counted(repository)


@pytest.fixture
def watch(events: Counted) -> WatchOrders:
    return WatchOrders(events, max_listeners=3, recent=4)


async def read(listener: Listener, number: int) -> list[str]:
    told: list[str] = []
    async with asyncio.timeout(10):
        while len(told) < number:
            told += [event.order_uid for event in await listener.next()]
    return told


async def test_a_listener_is_told_what_is_stored_after_it_came(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    await repository.save_many([order_of("before")])
    listener = await watch.open()
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    await repository.save_many([order_of("after")])
    await watch.poll()
    assert [event.order_uid for event in await waiting] == ["after"]


async def test_all_listeners_share_one_read(
    watch: WatchOrders, repository: MemoryOrderRepository, events: Counted
) -> None:
    listeners = [await watch.open() for _ in range(3)]
    await repository.save_many(numbered(2))
    await watch.poll()
    asked = events.asked
    for listener in listeners:
        assert await read(listener, 2) == ["uid-0000", "uid-0001"]
    assert events.asked == asked


async def test_what_is_delivered_wakes_nobody(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    delivered: list[Sequence[OrderEvent]] = []

    def deliver(events: Sequence[OrderEvent]) -> bool:
        delivered.append(events)
        return len(delivered) <= 4

    waiting = [asyncio.create_task((await watch.open()).next(deliver)) for _ in range(2)]
    await settle()
    for number in range(2):
        await repository.save_many([order_of(f"delivered {number}")])
        await watch.poll()
    assert delivered[0] is delivered[1]
    assert delivered[2] is delivered[3]
    assert [event.order_uid for event in (*delivered[0], *delivered[2])] == [
        "delivered 0",
        "delivered 1",
    ]
    assert not any(task.done() for task in waiting)
    await repository.save_many([order_of("refused")])
    await watch.poll()
    async with asyncio.timeout(10):
        for task in waiting:
            assert [event.order_uid for event in await task] == ["refused"]


async def test_nothing_before_the_position_of_a_listener_is_delivered(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    await watch.open()
    await repository.save_many(numbered(2))  # not polled yet
    first, second = repository.events
    listener = await watch.open(first.position)
    waiting = asyncio.create_task(listener.next(lambda _: True))
    await settle()
    await watch.poll()
    async with asyncio.timeout(10):
        assert await waiting == [second]


async def test_who_resumes_is_given_nothing_of_orders_that_were_forgotten_since(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    start = (await watch.open()).position  # its listener has the recent events kept
    for uid in ("gone", "stays"):
        await repository.save_many([order_of(uid)])
        await watch.poll()
    await MemoryErasure(repository).forget(["gone"])
    await watch.poll()
    async with asyncio.timeout(10):
        resumed = await (await watch.open(start)).next()
    assert [(event.order_uid, event.summary is None) for event in resumed] == [
        ("stays", False),
        ("gone", True),
    ]


async def forget(repository: MemoryOrderRepository, watch: WatchOrders, *order_uids: str) -> None:
    """Forget orders in this process; until somebody polls, their events have not passed."""
    erasure = MemoryErasure(repository)
    await ForgetOrders(erasure, FollowTombstones(erasure, NoCache(), watch))(order_uids)


async def test_who_resumes_is_given_nothing_of_orders_that_are_known_to_be_forgotten(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    start = (await watch.open()).position
    for uid in ("gone", "stays"):
        await repository.save_many([order_of(uid)])
        await watch.poll()
    await forget(repository, watch, "gone")
    resumed = await watch.open(start)
    assert [event.order_uid for event in await resumed.next()] == ["stays"]
    waiting = asyncio.create_task(resumed.next())
    await settle()
    await watch.poll()  # its event passes
    async with asyncio.timeout(10):
        assert [(event.order_uid, event.summary) for event in await waiting] == [("gone", None)]


async def test_what_a_process_may_have_missed_is_read_again(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    start = (await watch.open()).position
    await repository.save_many(numbered(2))
    await watch.poll()
    await MemoryErasure(repository).forget(["uid-0000"])  # by another process
    await forget(repository, watch)  # the first call
    resumed = await watch.open(start)
    assert [event.order_uid for event in await resumed.next()] == ["uid-0001", "uid-0000"]


class HeldBack(MemoryOrderEvents):
    """Its answers are held back after they were read."""

    def __init__(self, repository: MemoryOrderRepository) -> None:
        super().__init__(repository)
        self.open = asyncio.Event()

    async def events(self, after: Position, limit: int) -> EventPage:
        found = await super().events(after, limit)
        await self.open.wait()
        return found


class OnStandby(MemoryOrderEvents):
    """A server that lags behind others."""

    async def events(self, after: Position, limit: int) -> EventPage:
        return (await super().events(after, limit))._replace(is_of_standby=True)


async def test_nothing_is_told_by_a_standby_that_lacks_more_than_is_remembered(
    repository: MemoryOrderRepository,
) -> None:
    watch = WatchOrders(OnStandby(repository), max_listeners=2)
    listener = await watch.open()
    await repository.save_many(numbered(2))
    watch.forget((), 7)  # some were forgotten, it is not told which
    with pytest.raises(Unavailable, match="behind"):
        await watch.poll()
    repository.tombstones["uid-0000"] = 7
    repository.note("uid-0000")
    await watch.poll()
    assert [event.order_uid for event in await listener.next()] == ["uid-0001", "uid-0000"]


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_page_that_was_read_before_an_order_was_forgotten_does_not_bring_it_back(
    repository: MemoryOrderRepository, *, is_alone: bool
) -> None:
    events = HeldBack(repository)
    watch = WatchOrders(events, max_listeners=3)
    await repository.save_many(numbered(1 if is_alone else 2))
    reading = asyncio.create_task((await watch.open(Position(0, ""))).next())  # from the store
    await settle()
    start = (await watch.open()).position
    await repository.save_many([order_of("polled"), *([] if is_alone else [order_of("stays")])])
    polling = asyncio.create_task(watch.poll())
    await settle()
    await forget(repository, watch, "uid-0000", "polled")
    events.open.set()
    async with asyncio.timeout(10):
        await polling
        assert [(event.order_uid, event.summary is None) for event in await reading] == ([
            ("polled", True), ("uid-0000", True)
        ] if is_alone else [("uid-0001", False)])  # fmt: skip
        resumed = await (await watch.open(start)).next()
    assert not [event for event in resumed if event.summary and event.order_uid == "polled"]


async def test_an_order_that_is_stored_again_after_its_tombstone_was_purged_is_told(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    listener = await watch.open()
    await forget(repository, watch, "again", "another")
    await MemoryErasure(repository).drop_tombstones(datetime.max.replace(tzinfo=UTC), 10)
    await repository.save_many([order_of("again")])
    await watch.poll()
    assert [event.summary is None for event in await listener.next()] == [True, False]


async def test_others_have_their_turn_while_many_are_told(
    repository: MemoryOrderRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_orders, "DELIVERED_AT_ONCE", 1)
    watch = WatchOrders(MemoryOrderEvents(repository), max_listeners=3)
    told: list[str] = []
    begun = asyncio.Event()

    def listen(name: str, listener: Listener) -> "asyncio.Task[Sequence[OrderEvent]]":
        def deliver(_: Sequence[OrderEvent]) -> bool:
            told.append(name)
            begun.set()
            return True

        return asyncio.create_task(listener.next(deliver))

    first, second, third = [listen(name, await watch.open()) for name in ("1", "2", "3")]
    await settle()
    await repository.save_many([order_of("new")])
    polling = asyncio.create_task(watch.poll())
    await begun.wait()
    second.cancel()  # it leaves while the first gets its events
    await polling
    assert told == ["1", "3"]
    first.cancel()
    third.cancel()


async def test_others_have_their_turn_while_many_catch_up(
    repository: MemoryOrderRepository,
) -> None:
    watch = WatchOrders(MemoryOrderEvents(repository), max_listeners=50)
    listeners = [await watch.open() for _ in range(50)]
    await repository.save_many([order_of("new")])
    await watch.poll()
    behind = [asyncio.create_task(listener.next()) for listener in listeners]
    done = 0
    while done < len(behind):
        await asyncio.sleep(0)
        done, before = sum(task.done() for task in behind), done
        assert done - before <= 1


async def test_the_lack_of_events_is_told_also_while_the_store_is_down(
    watch: WatchOrders, repository: MemoryOrderRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_orders, "HEARTBEAT", 0)
    told: asyncio.Queue[Sequence[OrderEvent]] = asyncio.Queue()

    def deliver(events: Sequence[OrderEvent]) -> bool:
        told.put_nowait(events)
        return told.qsize() < 2

    listener = await watch.open()
    repository.available = False
    async with in_background(watch.run()), asyncio.timeout(10):
        assert not await listener.next(deliver)
        assert not await told.get()
        repository.available = True
        await repository.save_many([order_of("new")])
        assert await read(listener, 1) == ["new"]


async def test_one_that_is_far_behind_misses_nothing(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    slow, fast = await watch.open(), await watch.open()
    orders = numbered(30)
    told = []
    for order in orders:
        await repository.save_many([order])
        await watch.poll()
        told += await read(fast, 1)
    assert told == [order.order_uid for order in orders]
    assert await read(slow, 30) == told
    await repository.save_many([order_of("next")])
    await watch.poll()
    assert await read(slow, 1) == ["next"]


async def test_it_resumes_after_the_position_of_an_event(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    listener = await watch.open()
    await repository.save_many(numbered(3))
    await watch.poll()
    first = (await listener.next())[0]
    listener.close()
    resumed = await watch.open(first.position)
    assert not resumed.is_lost
    assert await read(resumed, 2) == ["uid-0001", "uid-0002"]


async def test_the_end_of_a_gap_is_found_where_nothing_is_in_it(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    listener = await watch.open()
    old = listener.position
    await repository.save_many([order_of("forgotten")])
    await MemoryErasure(repository).forget(["forgotten"])
    await watch.poll()
    repository.events.clear()  # its tombstone is purged
    listener.close()
    await watch.open()
    resumed = await watch.open(old)
    waiting = asyncio.create_task(resumed.next())
    await asyncio.sleep(0)
    await repository.save_many([order_of("new")])
    await watch.poll()
    assert [event.order_uid for event in await waiting] == ["new"]


async def test_a_position_of_another_store_is_lost(watch: WatchOrders) -> None:
    listener = await watch.open(Position(10**12, "x"))
    assert listener.is_lost
    assert listener.position < Position(10**12, "x")


async def test_there_is_a_bound_of_listeners(watch: WatchOrders) -> None:
    listeners = [await watch.open() for _ in range(3)]
    with pytest.raises(Unavailable):
        await watch.open()
    listeners[0].close()
    await watch.open()


class Slow(MemoryOrderEvents):
    """Takes a while for the latest position, and counts how often it has begun."""

    begun = 0

    async def latest_position(self) -> Position:
        self.begun += 1
        found = await super().latest_position()
        await settle()
        return found


@pytest.mark.parametrize("after", [None, Position(10**12, "x")])
async def test_many_that_open_share_one_query(
    repository: MemoryOrderRepository, after: Position | None
) -> None:
    events = Slow(repository)
    watch = WatchOrders(events, max_listeners=50)
    listeners = await asyncio.gather(*(watch.open(after) for _ in range(50)))
    assert [listener.is_lost for listener in listeners] == [after is not None] * 50
    assert events.begun == 1


async def test_one_that_opens_does_not_share_a_query_that_had_begun(
    repository: MemoryOrderRepository,
) -> None:
    events = Slow(repository)
    watch = WatchOrders(events, max_listeners=2)
    first = asyncio.create_task(watch.open())
    await until(lambda: events.begun == 1)
    await repository.save_many([order_of("new")])  # its event has come by another process
    resumed = await watch.open(repository.events[-1].position)
    assert not resumed.is_lost
    assert (await first).position < resumed.position


async def test_the_end_of_one_that_opens_leaves_the_query_to_others(
    repository: MemoryOrderRepository,
) -> None:
    watch = WatchOrders(Slow(repository), max_listeners=2)
    first, second = [asyncio.create_task(watch.open()) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    await watch.open()


async def test_nothing_is_read_while_nobody_listens(
    watch: WatchOrders, repository: MemoryOrderRepository, events: Counted
) -> None:
    await watch.poll()
    assert events.asked == 0
    (await watch.open()).close()
    await watch.poll()
    assert events.asked == 0


async def test_a_store_that_is_down_refuses_who_comes_and_delays_who_listens(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    repository.available = False
    for _ in range(4):
        with pytest.raises(Unavailable, match="switched off"):
            await watch.open()
    repository.available = True
    listener = await watch.open()
    repository.available = False
    with pytest.raises(Unavailable):
        await watch.poll()
    repository.available = True
    await repository.save_many([order_of("stored meanwhile")])
    await watch.poll()
    assert await read(listener, 1) == ["stored meanwhile"]


async def test_a_store_that_has_lost_events_ends_its_listeners(
    watch: WatchOrders, repository: MemoryOrderRepository
) -> None:
    listener = await watch.open()
    await repository.save_many(numbered(3))
    await watch.poll()
    assert await read(listener, 3) == ["uid-0000", "uid-0001", "uid-0002"]
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    repository.available = False
    with pytest.raises(Unavailable):
        await watch.poll()
    repository.available = True
    repository.events.clear()
    repository._transaction = 0  # as a standby that had got nothing
    await watch.poll()
    with pytest.raises(Unavailable, match="lost"):
        await waiting
    resumed = await watch.open(listener.position)
    assert resumed.is_lost
    await repository.save_many([order_of("new")])
    await watch.poll()
    assert await read(resumed, 1) == ["new"]

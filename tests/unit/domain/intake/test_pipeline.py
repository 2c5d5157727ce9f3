"""The ingest pipeline, on the adapters in memory."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from orders.adapters.logged.ingest_observer import LoggedIngest
from orders.adapters.logged.store_health import StoreHealth
from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.message_source import MemoryMessageSource
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import OrdersError, Unavailable, UnsuitableDatabase
from orders.domain.intake.messages import Batch
from orders.domain.intake.pipeline import IngestPipeline
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import MessageSource, OrderRepository, SaveReport
from orders.domain.use_cases.ingest_batch import IngestBatch
from tests.contracts.publisher import ORDER_FILE
from tests.waiting import settle, until

ORDER = read(ORDER_FILE.read_bytes()).accepted[0].order
DEADLINE = 10.0


NOTHING_FORGOTTEN = MemoryErasure(MemoryOrderRepository())


class Store(OrderRepository):
    """A store that a test holds up, or has fail."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.failures: list[Exception] = []
        self.tries = 0
        self.sizes: list[int] = []
        self.is_away = False
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        self.tries += 1
        self.sizes.append(len(orders))
        self.entered.set()
        await asyncio.sleep(0)  # a real one is never done at once: here is where crashes happen
        await self.open.wait()
        if self.is_away:
            raise Unavailable("the database is down")
        if self.failures:
            raise self.failures.pop(0)
        new = {order.order_uid: order for order in orders if order.order_uid not in self.orders}
        self.orders |= new
        known = frozenset(order.order_uid for order in orders) - new.keys()
        return SaveReport(saved=frozenset(new), unchanged=known)

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        raise NotImplementedError

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        raise NotImplementedError

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        raise NotImplementedError


class Source(MessageSource):
    """Passes on to another source, and notes what happens; a test may spoil it."""

    def __init__(self, inner: MessageSource, store: Store) -> None:
        self.inner = inner
        self.store = store
        self.asked = 0
        self.received: list[Batch] = []
        self.committed: list[Batch] = []
        self.stored_at_commit: list[int] = []
        self.commit_failures: list[Exception] = []
        self.receive_failure: Exception | None = None
        self.commits_open = asyncio.Event()
        self.commits_open.set()

    async def receive(self) -> Batch:
        self.asked += 1
        if self.receive_failure:
            raise self.receive_failure
        batch = await self.inner.receive()
        self.received.append(batch)
        return batch

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(0)
        await self.commits_open.wait()
        self.stored_at_commit.append(len(self.store.orders))
        if self.commit_failures:
            raise self.commit_failures.pop(0)
        self.committed.append(batch)
        await self.inner.commit(batch)


class Rig:
    """The pipeline with all that it works on."""

    def __init__(self, store: Store | None = None) -> None:
        self.topic = MemoryTopic()
        self.store = store or Store()
        self.dead_letters = MemoryDeadLetters()
        self.source = Source(MemoryMessageSource(self.topic), self.store)
        self.cache = MemoryCache(10)
        ingest = IngestBatch(
            self.store, self.dead_letters, self.cache, 10, erasure=NOTHING_FORGOTTEN
        )
        self.health = StoreHealth()
        self.pipeline = self.made(ingest)
        self.stop = asyncio.Event()
        self.running: asyncio.Task[None] | None = None
        self.sent = 0

    def made(
        self, ingest: IngestBatch, stop_timeout: float = 0.5, retry_max_wait: float = 0.01
    ) -> IngestPipeline:
        return IngestPipeline(
            self.source,
            ingest,
            LoggedIngest(self.health),
            run_in_thread=asyncio.to_thread,
            stop_timeout=stop_timeout,
            retry_max_wait=retry_max_wait,
        )

    def start(self) -> asyncio.Task[None]:
        self.running = asyncio.create_task(self.pipeline.run(self.stop))
        return self.running

    async def end(self) -> None:
        """Stop the pipeline and wait for its end."""
        self.stop.set()
        assert self.running is not None
        async with asyncio.timeout(DEADLINE):
            await self.running

    def send(self, amount: int = 1) -> None:
        for _ in range(amount):
            order = msgspec.structs.replace(ORDER, order_uid=f"uid-{self.sent}")
            self.topic.append(encode(order))
            self.sent += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            assert self.running is None or not self.running.done(), "the pipeline has ended"
            return condition()

        await until(holds, seconds=DEADLINE)


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def test_stores_what_comes_and_commits_it(rig: Rig) -> None:
    rig.send(3)
    rig.start()
    await rig.until(lambda: rig.topic.committed == [3])
    rig.send(2)
    await rig.until(lambda: rig.topic.committed == [5])
    assert list(rig.store.orders) == [f"uid-{n}" for n in range(5)]
    await rig.end()


async def test_dead_letters_are_put_before_the_commit(rig: Rig) -> None:
    rig.topic.append(b"not JSON")
    rig.dead_letters.available = False
    rig.start()
    await rig.until(lambda: rig.store.tries == 0 and bool(rig.source.received))
    await settle()
    assert rig.topic.committed == [0]
    rig.dead_letters.available = True
    await rig.until(lambda: rig.topic.committed == [1])
    assert [dead_letter.code for dead_letter in rig.dead_letters.dead_letters] == ["undecodable"]
    await rig.end()


async def test_what_the_batch_behind_pushes_out_of_the_cache_does_not_go_there(rig: Rig) -> None:
    puts: list[set[str]] = []
    put = rig.cache.put

    async def noting(documents: Mapping[str, bytes], as_of: int = 0) -> None:
        puts.append(set(documents))
        await put(documents, as_of)

    rig.cache.put = noting  # type: ignore[method-assign]
    rig.store.open.clear()
    rig.send(3)
    rig.start()
    await rig.until(lambda: rig.store.tries == 1)
    rig.send(10)
    await rig.until(lambda: rig.store.tries == 2)
    rig.store.open.set()
    await rig.until(lambda: rig.topic.committed == [13])
    assert puts == [{f"uid-{n}" for n in range(3, 13)}]
    rig.send()
    await rig.until(lambda: rig.topic.committed == [14])
    assert puts[1:] == [{"uid-13"}]
    await rig.end()


async def test_the_next_batch_is_received_while_one_is_stored(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    rig.start()
    await rig.until(rig.store.entered.is_set)
    rig.send()
    await rig.until(lambda: len(rig.source.received) == 2)
    assert rig.source.committed == []
    rig.store.open.set()
    await rig.until(lambda: rig.topic.committed == [2])
    await rig.end()


async def test_what_trickles_in_while_one_is_stored_is_stored_together(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    rig.start()
    await rig.until(rig.store.entered.is_set)
    for _ in range(4):
        rig.send()
        await rig.until(lambda: len(rig.source.received) == rig.sent)
    rig.store.open.set()
    await rig.until(lambda: rig.topic.committed == [5])
    assert rig.store.sizes == [1, 1, 3]  # two lone ones, each at once, and what came after them
    assert rig.source.committed == [rig.source.received[n] for n in (0, 1, 4)]
    await rig.end()


class HeldUp(Store):
    """A store that holds up batches with ``uid-0`` at a gate, and may fail them then."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        if any(order.order_uid == "uid-0" for order in orders):
            self.entered.set()
            await self.gate.wait()
            if self.failure:
                raise self.failure
        return await super().save_many(orders)


class HeldUpRig(Rig):
    """Its first batch waits in the store while the second one is stored."""

    def __init__(self, store: HeldUp) -> None:
        super().__init__(store)
        self.gate = store.gate

    async def begin(self) -> None:
        self.send()
        self.start()
        await self.until(self.store.entered.is_set)
        self.send()
        await self.until(lambda: "uid-1" in self.store.orders)


async def test_what_is_stored_before_its_turn_is_committed_in_its_turn() -> None:
    rig = HeldUpRig(HeldUp())
    await rig.begin()
    await settle()
    assert rig.topic.committed == [0]
    rig.gate.set()
    await rig.until(lambda: rig.topic.committed == [2])
    assert rig.source.committed == rig.source.received
    await rig.end()


async def test_behind_a_batch_that_fails_nothing_is_committed() -> None:
    store = HeldUp()
    rig = HeldUpRig(store)
    await rig.begin()
    store.failure = RuntimeError("a fault of ours")
    rig.gate.set()
    assert rig.running is not None
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await asyncio.wait_for(rig.running, DEADLINE)
    assert rig.topic.committed == [0]


async def test_behind_a_batch_that_is_left_at_the_stop_nothing_is_committed() -> None:
    store = HeldUp()
    rig = HeldUpRig(store)
    await rig.begin()
    store.failure = Unavailable("the database is down")
    rig.stop.set()
    rig.gate.set()
    await rig.end()
    assert rig.topic.committed == [0]


async def test_a_fault_in_the_second_batch_ends_the_pipeline_though_the_first_waits() -> None:
    class Faulty(HeldUp):
        async def save_many(self, orders: Sequence[Order]) -> SaveReport:
            if any(order.order_uid == "uid-1" for order in orders):
                raise RuntimeError("a fault of ours")
            return await super().save_many(orders)

    rig = Rig(Faulty())
    rig.send()
    running = rig.start()
    await rig.until(rig.store.entered.is_set)
    rig.send()
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await asyncio.wait_for(running, DEADLINE)
    assert rig.topic.committed == [0]


async def test_batches_with_an_order_in_common_are_stored_one_after_another(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    rig.start()
    await rig.until(rig.store.entered.is_set)
    rig.sent = 0  # uid-0 once more
    rig.send(2)
    await rig.until(lambda: len(rig.source.received) == 2)
    await settle()
    assert rig.store.tries == 1
    rig.store.open.set()
    await rig.until(lambda: rig.topic.committed == [3])
    assert rig.store.sizes == [1, 2]
    await rig.end()


async def test_what_a_server_refuses_is_tried_again_and_does_not_end_the_pipeline(
    rig: Rig,
) -> None:
    rig.store.failures = [OrdersError("PostgreSQL refuses it: internal error (XX000)")] * 2
    rig.send()
    rig.start()
    await rig.until(lambda: rig.topic.committed == [1])
    assert rig.store.tries == 3
    await rig.end()


async def test_a_database_that_cannot_hold_orders_ends_the_pipeline(rig: Rig) -> None:
    rig.store.failures = [UnsuitableDatabase("its encoding is LATIN1")]
    rig.send()
    with pytest.raises(UnsuitableDatabase):
        await rig.start()
    assert rig.topic.committed == [0]


async def test_behind_a_batch_that_fails_its_order_is_not_stored_by_another(rig: Rig) -> None:
    rig.store.open.clear()
    rig.store.failures = [RuntimeError("?")]
    rig.send()
    running = rig.start()
    await rig.until(rig.store.entered.is_set)
    rig.sent = 0  # uid-0 once more
    rig.send(2)
    await rig.until(lambda: len(rig.source.received) == 2)
    rig.store.open.set()
    with pytest.raises(RuntimeError):
        await running
    assert rig.store.sizes == [1]


async def test_the_next_batch_is_stored_while_one_is_committed(rig: Rig) -> None:
    rig.source.commits_open.clear()
    rig.send()
    rig.start()
    await rig.until(lambda: len(rig.store.orders) == 1)
    rig.send()
    await rig.until(lambda: len(rig.store.orders) == 2)
    assert rig.topic.committed == [0]
    rig.source.commits_open.set()
    await rig.until(lambda: rig.topic.committed == [2])
    await rig.end()


async def test_batches_are_committed_in_order_and_only_when_stored(rig: Rig) -> None:
    rig.start()
    for number in range(1, 21):
        rig.send(number % 3 + 1)
        await settle()
    await rig.until(lambda: rig.topic.committed == [rig.sent])
    assert rig.source.committed == rig.source.received
    ends = [batch.messages[-1].origin.offset + 1 for batch in rig.source.committed]
    assert all(stored >= end for stored, end in zip(rig.source.stored_at_commit, ends, strict=True))
    await rig.end()


async def test_tries_again_until_the_database_is_back(rig: Rig) -> None:
    rig.store.is_away = True
    rig.send(2)
    rig.start()
    await rig.until(lambda: rig.store.tries > 5)
    assert rig.topic.committed == [0]
    rig.store.is_away = False
    await rig.until(lambda: rig.topic.committed == [2])
    await rig.end()


async def test_waits_between_two_tries_are_random_and_double_up_to_a_bound(rig: Rig) -> None:
    bounds: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0

    rig.pipeline = IngestPipeline(
        rig.source,
        rig.pipeline._ingest,
        LoggedIngest(rig.health),
        jitter=jitter,
        retry_max_wait=0.3,
    )
    rig.store.failures = [Unavailable("the database is down")] * 4
    rig.send()
    rig.start()
    await rig.until(lambda: rig.topic.committed == [1])
    assert bounds == [(0, 0.1), (0, 0.2), (0, 0.3), (0, 0.3)]
    await rig.end()


async def test_a_commit_that_is_not_confirmed_does_not_stop_the_work(rig: Rig) -> None:
    rig.source.commit_failures = [Unavailable("not confirmed")]
    rig.send()
    rig.start()
    await rig.until(lambda: not rig.source.commit_failures)
    assert rig.topic.committed == [0]
    rig.send()
    await rig.until(lambda: rig.topic.committed == [2])
    await rig.end()


async def test_at_the_stop_the_batch_in_hand_is_finished(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    running = rig.start()
    await rig.until(rig.store.entered.is_set)
    rig.stop.set()
    await settle()
    assert not running.done()
    rig.store.open.set()
    await rig.end()
    assert rig.topic.committed == [1]


async def test_at_the_stop_a_batch_that_was_only_read_is_left(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    rig.start()
    await rig.until(lambda: rig.store.tries == 1)
    rig.send()
    await rig.until(lambda: rig.store.tries == 2)
    rig.send()
    await rig.until(lambda: len(rig.source.received) == 3)
    rig.stop.set()
    rig.store.open.set()
    await rig.end()
    assert rig.topic.committed == [2]
    assert list(rig.store.orders) == ["uid-0", "uid-1"]


async def test_the_stop_does_not_wait_for_messages(rig: Rig) -> None:
    rig.start()
    await settle()
    async with asyncio.timeout(0.4):
        await rig.end()


async def test_the_stop_does_not_wait_for_a_database_that_is_away(rig: Rig) -> None:
    rig.pipeline = rig.made(rig.pipeline._ingest, stop_timeout=5, retry_max_wait=60)
    rig.store.is_away = True
    rig.send()
    rig.start()
    await rig.until(lambda: rig.store.tries > 2)
    async with asyncio.timeout(1):
        await rig.end()
    assert rig.topic.committed == [0]


@pytest.mark.parametrize("what", ["store", "commit"])
async def test_the_stop_does_not_wait_for_ever(rig: Rig, what: str) -> None:
    event = {"store": rig.store.open, "commit": rig.source.commits_open}[what]
    event.clear()
    rig.send()
    rig.start()
    await rig.until(rig.store.entered.is_set)
    await settle()
    async with asyncio.timeout(1):
        await rig.end()
    assert rig.topic.committed == [0]


async def test_what_nobody_foresaw_ends_the_pipeline_uncommitted(rig: Rig) -> None:
    rig.store.failures = [ZeroDivisionError()]
    rig.send()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(rig.start(), DEADLINE)
    assert rig.topic.committed == [0]


async def test_what_nobody_foresaw_in_a_commit_ends_the_pipeline(rig: Rig) -> None:
    rig.source.commit_failures = [ZeroDivisionError()]
    rig.send()
    running = rig.start()
    await rig.until(lambda: not rig.source.commit_failures)
    rig.send()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, DEADLINE)


async def test_a_source_that_cannot_go_on_ends_the_pipeline_after_the_batch_in_hand(
    rig: Rig,
) -> None:
    rig.store.open.clear()
    rig.send()
    running = rig.start()
    # The next receive has begun, so it is the one after it that fails.
    await rig.until(lambda: rig.store.entered.is_set() and rig.source.asked == 2)
    rig.source.receive_failure = OrdersError("orders partition 0 cannot be read")
    rig.send()
    await rig.until(lambda: len(rig.source.received) == 2)
    rig.send()
    rig.store.open.set()
    with pytest.raises(OrdersError, match="cannot be read"):
        await asyncio.wait_for(running, DEADLINE)
    assert rig.topic.committed == [2]


async def test_a_cancelled_pipeline_leaves_nothing_running(rig: Rig) -> None:
    rig.store.open.clear()
    rig.send()
    running = rig.start()
    await rig.until(rig.store.entered.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert rig.topic.committed == [0]


async def trouble(rig: Rig) -> Unavailable | None:
    """Why it cannot store; None where it can."""
    try:
        await rig.health.check()
    except Unavailable as error:
        return error
    return None


async def test_it_can_store_unless_it_is_long_at_one_batch(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.adapters.logged.store_health.STUCK_AFTER", 0.05)
    rig.start()
    await asyncio.sleep(0.1)
    assert await trouble(rig) is None
    rig.store.open.clear()
    rig.send()
    await rig.until(lambda: rig.health.is_stuck)
    assert "one batch has not been stored" in str(await trouble(rig))
    rig.store.open.set()
    await rig.until(lambda: not rig.health.is_stuck)
    assert await trouble(rig) is None
    await rig.end()


async def test_it_is_known_why_it_cannot_store_and_since_when(rig: Rig) -> None:
    before = datetime.now(UTC)
    rig.start()
    rig.store.is_away = True
    rig.send()
    await rig.until(lambda: rig.store.tries > 2)
    first = await trouble(rig)
    await rig.until(lambda: rig.store.tries > 4)
    assert str(first) == "the database is down"
    assert first is not None
    assert first.since is not None
    assert before <= first.since <= datetime.now(UTC)
    again = await trouble(rig)
    assert again is not None
    assert again.since == first.since
    rig.store.is_away = False
    await rig.until(lambda: rig.topic.committed == [1])
    assert await trouble(rig) is None
    rig.dead_letters.available = False
    rig.topic.append(b"not JSON")
    while (second := await trouble(rig)) is None:
        await settle()
    assert second.since is not None
    assert second.since > first.since
    rig.dead_letters.available = True
    await rig.until(lambda: rig.topic.committed == [2])
    assert await trouble(rig) is None
    await rig.end()


async def test_crashes_anywhere_lose_nothing_and_double_nothing() -> None:
    """Kill the pipeline at every point in turn; a new one on the same topic makes up for it."""
    topic, store, dead_letters = MemoryTopic(), Store(), MemoryDeadLetters()
    expected = set()
    for steps in range(60):
        rig = Rig()
        rig.topic, rig.store, rig.dead_letters, rig.sent = topic, store, dead_letters, steps
        rig.source = Source(MemoryMessageSource(topic), store)
        ingest = IngestBatch(store, dead_letters, MemoryCache(10), 10, erasure=NOTHING_FORGOTTEN)
        rig.pipeline = rig.made(ingest)
        rig.send()
        expected.add(f"uid-{steps}")
        running = rig.start()
        await _some_steps(steps % 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert topic.committed[0] <= len(store.orders)
    rig = Rig()
    rig.topic = topic
    rig.source = Source(MemoryMessageSource(topic), store)
    rig.pipeline = rig.made(
        IngestBatch(store, dead_letters, MemoryCache(10), 10, erasure=NOTHING_FORGOTTEN)
    )
    rig.start()
    await rig.until(lambda: topic.committed == [60])
    await rig.end()
    assert store.orders.keys() == expected
    assert dead_letters.dead_letters == []


async def _some_steps(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_junk_by_the_megabyte_is_read_beside_the_loop(rig: Rig) -> None:
    """Else all clocks stand still, and servers that answer are thought away."""
    rig.topic.append(b"[" * 200_000 + b"]" * 200_000)
    rig.start()
    longest = last = 0.0
    clock = asyncio.get_running_loop().time
    last = clock()
    async with asyncio.timeout(60):
        while rig.topic.committed != [1]:
            await asyncio.sleep(0)
            longest, last = max(longest, clock() - last), clock()
    assert rig.dead_letters.dead_letters
    began = clock()
    IngestBatch(
        rig.store, rig.dead_letters, MemoryCache(10), 10, erasure=NOTHING_FORGOTTEN
    ).prepare(rig.source.received[0].messages)
    assert longest < (clock() - began) / 2
    await rig.end()

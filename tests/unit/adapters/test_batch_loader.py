"""Concurrent look-ups share batches, without affecting each other."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, get_contextvars

from orders.adapters.read_path.batch_loader import MAX_BYTES, BatchLoader
from orders.domain.errors import OrdersError, Unavailable
from tests.contracts.cache import documents
from tests.waiting import settle


class Backend:
    """Loads batches; each ends when the test says so."""

    def __init__(self, *stored: str) -> None:
        self.stored = set(stored)
        self.asked: list[tuple[str, ...]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def ask(self, uids: Sequence[str]) -> Mapping[str, bytes]:
        # A batch finds what was stored when it was sent.
        found = documents(*(uid for uid in uids if uid in self.stored))
        self.asked.append(tuple(uids))
        answer = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        await answer
        return found

    async def answer(self, number: int, failure: Exception | None = None) -> None:
        """End this batch, counted from 0."""
        if failure:
            self._answers[number].set_exception(failure)
        else:
            self._answers[number].set_result(None)
        await settle()


@pytest.fixture
def backend() -> Backend:
    return Backend("a", "b", "c")


@pytest.fixture
async def loader(backend: Backend) -> AsyncIterator[BatchLoader]:
    loader = BatchLoader(backend.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60)
    yield loader
    await loader.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture(autouse=True)
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop complains about, such as exceptions that nobody retrieved: nothing."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    gc.collect()
    await asyncio.sleep(0)
    assert found == []


Start = Callable[..., "asyncio.Task[dict[str, bytes]]"]


@pytest.fixture
async def start(loader: BatchLoader) -> AsyncIterator[Start]:
    begun: list[asyncio.Task[dict[str, bytes]]] = []

    def begin(*uids: str) -> asyncio.Task[dict[str, bytes]]:
        begun.append(asyncio.create_task(loader.get(uids)))
        return begun[-1]

    yield begin
    await loader.close()
    await asyncio.gather(*begun, return_exceptions=True)


async def test_a_lone_look_up_is_sent_at_once(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    one = start("a")
    await asyncio.sleep(0)  # it asks
    await asyncio.sleep(0)  # its batch leaves
    assert backend.asked == [("a",)]
    await backend.answer(0)
    assert await one == documents("a")


async def test_a_caller_in_the_turn_in_which_all_batches_end_does_not_wait(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    callers = []
    for uid in ("a", "b"):
        callers.append(start(uid))
        await settle()
    landing = asyncio.Event()

    async def third() -> dict[str, bytes]:
        await landing.wait()
        return await loader.get(["c"])

    late = asyncio.create_task(third())
    await settle()
    for answer in backend._answers:
        answer.set_result(None)
    landing.set()
    await settle()
    assert backend.asked == [("a",), ("b",), ("c",)]
    await backend.answer(2)
    assert await asyncio.gather(*callers, late) == [documents("a"), documents("b"), documents("c")]


async def test_what_comes_at_the_same_time_is_one_question(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    callers = [start("a"), start("b"), start("x"), start("a")]
    await settle()
    assert backend.asked == [("a", "b", "x")]
    await backend.answer(0)
    assert [await caller for caller in callers] == [
        documents("a"),
        documents("b"),
        {},
        documents("a"),
    ]


async def test_callers_queue_while_all_workers_are_busy(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    start("a")
    await settle()
    start("b")
    await settle()
    later = [start("c"), start("x"), start("c")]
    await settle()
    assert backend.asked == [("a",), ("b",)]
    await backend.answer(1)  # the other one does not delay it
    assert backend.asked == [("a",), ("b",), ("c", "x")]
    await backend.answer(2)
    assert [await one for one in later] == [documents("c"), {}, documents("c")]


async def test_batches_are_bounded(loader: BatchLoader, backend: Backend, start: Start) -> None:
    many = [start(str(i)) for i in range(8)]
    await settle()
    assert backend.asked == [("0", "1", "2"), ("3", "4", "5")]
    await backend.answer(0)
    assert backend.asked[2:] == [("6", "7")]
    await backend.answer(1)
    await backend.answer(2)
    assert await asyncio.gather(*many) == [{}] * 8


async def test_many_keys_of_one_caller_may_take_several_batches(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    one = start("a", "b", "x", "c", "a", "y")
    await settle()
    assert backend.asked == [("a", "b", "x"), ("c", "y")]
    await backend.answer(1)
    assert not one.done()
    await backend.answer(0)
    assert await one == documents("a", "b", "c")


async def test_without_keys_nothing_is_loaded(loader: BatchLoader, backend: Backend) -> None:
    assert await loader.get([]) == {}
    assert backend.asked == []


async def test_a_key_is_in_one_batch_at_a_time(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    start("a")
    await settle()
    late = start("a")
    await settle()
    assert backend.asked == [("a",)]
    await backend.answer(0)
    assert await late == documents("a")
    assert backend.asked == [("a",)]


async def test_an_order_stored_before_it_was_asked_for_is_never_missed(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    early = start("new")
    await settle()
    backend.stored.add("new")
    late, later = start("new"), start("new", "a")
    await settle()
    assert backend.asked == [("new",), ("a",)]
    await backend.answer(0)
    assert await early == {}  # it was not there when it was asked for
    assert not late.done()
    assert backend.asked == [("new",), ("a",), ("new",)]
    await backend.answer(2)
    await backend.answer(1)
    assert await late == documents("new")
    assert await later == documents("new", "a")


async def test_a_caller_that_is_cancelled_harms_no_other(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    first, second = start("a"), start("a", "b")
    await settle()
    late, waiting = start("a"), start("c")
    await settle()
    for gone in (first, late):
        gone.cancel()
    await settle()
    assert first.cancelled()
    assert late.cancelled()
    await backend.answer(0)
    await backend.answer(1)
    assert await second == documents("a", "b")
    assert await waiting == documents("c")


async def test_when_all_callers_are_gone_others_are_served(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    gone = [start("a"), start("x")]
    await settle()
    for caller in gone:
        caller.cancel()
    await settle()
    await backend.answer(0)
    one = start("x")
    await settle()
    await backend.answer(1)
    assert await one == {}


async def test_a_failure_reaches_only_the_callers_of_its_batch(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    failure = Unavailable("down")
    callers = [start("a"), start("a", "b")]
    cancelled = start("b")
    await settle()
    late, other = start("b"), start("c")
    await settle()
    cancelled.cancel()
    await backend.answer(0, failure)
    for caller in (*callers, late):
        with pytest.raises(Unavailable) as caught:
            await caller
        assert caught.value.__cause__ is failure
    await backend.answer(1)
    assert await other == documents("c")
    again = start("a")
    await settle()
    await backend.answer(2)
    assert await again == documents("a")


async def test_what_is_wrong_with_one_harms_no_other() -> None:
    wrong = RuntimeError("damaged")

    async def ask(uids: Sequence[str]) -> Mapping[str, bytes]:
        await asyncio.sleep(0)
        if "bad" in uids:
            raise wrong
        return documents(*(uid for uid in uids if uid != "x"))

    loader = BatchLoader(ask, workers=1, max_batch=9)
    asked = [asyncio.create_task(loader.get([uid])) for uid in ("a", "bad", "x", "b", "bad")]
    a, bad, missing, b, again = await asyncio.gather(*asked, return_exceptions=True)
    assert [a, missing, b] == [documents("a"), {}, documents("b")]
    for failure in (bad, again):
        assert isinstance(failure, OrdersError)
        assert not isinstance(failure, Unavailable)
        assert failure.__cause__ is wrong
    await loader.close()


async def test_each_gets_a_failure_of_his_own(
    loader: BatchLoader, backend: Backend, start: Start
) -> None:
    callers = [start("a"), start("a")]
    await settle()
    down = Unavailable("down")
    await backend.answer(0, down)
    raised = await asyncio.gather(*callers, return_exceptions=True)
    assert raised[0] is not raised[1]
    assert all(isinstance(error, Unavailable) and error.__cause__ is down for error in raised)


async def test_a_caller_that_queues_for_too_long_gets_unavailable(backend: Backend) -> None:
    loader = BatchLoader(backend.ask, workers=1, max_batch=3, queue_timeout=0.02)
    slow = asyncio.create_task(loader.get("a"))
    await settle()
    with pytest.raises(Unavailable, match="slow"):
        await loader.get("b")
    with pytest.raises(Unavailable, match="slow"):
        await loader.get(["b", "c"])
    await backend.answer(0)
    assert await slow == documents("a")
    assert backend.asked == [("a",)]
    await loader.close()


SLOW = 0.5


class Timers:
    """Those after which a batch takes long; they run out when the test says so."""

    def __init__(self) -> None:
        self.pending: dict[int, Callable[[], object]] = {}
        loop = asyncio.get_running_loop()
        self._real = loop.call_later

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        if delay != SLOW:
            return self._real(delay, callback, *args)
        number = max(self.pending, default=0) + 1
        self.pending[number] = lambda: callback(*args)
        return SimpleNamespace(cancel=lambda: self.pending.pop(number, None))

    async def run_in_flight(self) -> None:
        """Those that run now."""
        for number in tuple(self.pending):
            self.pending.pop(number)()
        await settle()


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    found = Timers()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", found.call_later)
    return found


async def test_a_slow_batch_delays_no_other_callers(backend: Backend, timers: Timers) -> None:
    calls: list[str] = []
    slow_loader = BatchLoader(
        backend.ask, workers=1, max_batch=3, slow_after=SLOW, on_slow=lambda: calls.append("slow")
    )
    stuck = asyncio.create_task(slow_loader.get("a"))
    await settle()
    other = asyncio.create_task(slow_loader.get("b"))
    await settle()
    assert backend.asked == [("a",)]
    await timers.run_in_flight()
    assert backend.asked == [("a",), ("b",)]
    assert calls == ["slow"]
    assert slow_loader.is_slow
    await backend.answer(1)
    assert await other == documents("b")
    assert not stuck.done()
    # What it was to bring is brought by another one, to its own callers as well.
    again = asyncio.create_task(slow_loader.get("a"))
    await settle()
    assert backend.asked[2:] == [("a",)]
    await backend.answer(2)
    assert await again == documents("a")
    assert await stuck == documents("a")
    await backend.answer(0)
    assert not slow_loader.is_slow
    await slow_loader.close()


async def test_spare_workers_are_bounded(backend: Backend, timers: Timers) -> None:
    slow_loader = BatchLoader(backend.ask, workers=1, max_batch=1, slow_after=SLOW, spare_workers=2)
    callers = [asyncio.create_task(slow_loader.get(uid)) for uid in "abcx"]
    for _ in range(5):
        await timers.run_in_flight()
    assert backend.asked == [("a",), ("b",), ("c",)]
    await backend.answer(1)
    assert backend.asked[3:] == [("x",)]
    for number in (0, 2, 3):
        await backend.answer(number)
    assert await asyncio.gather(*callers) == [*(documents(uid) for uid in "abc"), {}]
    await slow_loader.close()


async def test_when_slow_batches_have_landed_there_are_no_more_than_before(
    backend: Backend, timers: Timers
) -> None:
    slow_loader = BatchLoader(backend.ask, workers=1, max_batch=1, slow_after=SLOW)
    callers = [asyncio.create_task(slow_loader.get(uid)) for uid in "abcx"]
    await settle()
    await timers.run_in_flight()
    assert backend.asked == [("a",), ("b",)]
    await backend.answer(0)
    assert backend.asked == [("a",), ("b",)]  # its worker ends, since the spare one is still busy
    await backend.answer(1)
    assert backend.asked == [("a",), ("b",), ("c",)]
    await backend.answer(2)
    await backend.answer(3)
    assert await asyncio.gather(*callers) == [*(documents(uid) for uid in "abc"), {}]
    await slow_loader.close()


async def test_close_cancels_all_batches(backend: Backend) -> None:
    loader = BatchLoader(backend.ask, workers=1, max_batch=1)
    slow_loader = asyncio.create_task(loader.get("a"))
    await settle()
    late, waiting = asyncio.create_task(loader.get("a")), asyncio.create_task(loader.get("b"))
    await settle()
    await asyncio.wait_for(loader.close(), 1)
    for caller in (slow_loader, late, waiting):
        with pytest.raises(Unavailable):
            await caller
    with pytest.raises(Unavailable):
        await loader.get("a")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await loader.open()
    again = asyncio.create_task(loader.get("a"))
    await settle()
    await backend.answer(1)
    assert await again == documents("a")
    await loader.close()


async def test_close_before_a_batch_is_sent(backend: Backend) -> None:
    loader = BatchLoader(backend.ask, workers=1, max_batch=1)
    one = asyncio.create_task(loader.get("a"))
    await asyncio.sleep(0)
    await loader.close()
    with pytest.raises(Unavailable):
        await one
    await loader.open()
    again = asyncio.create_task(loader.get("a"))
    await settle()
    assert backend.asked == [("a",)]
    await backend.answer(0)
    assert await again == documents("a")
    await loader.close()


async def test_log_lines_of_a_batch_lack_the_context_of_its_first_caller() -> None:
    seen: list[dict[str, Any]] = []

    async def ask(uids: Sequence[str]) -> Mapping[str, bytes]:
        seen.append(get_contextvars())
        return {}

    loader = BatchLoader(ask, workers=1, max_batch=1)
    with bound_contextvars(request_id="mine"):
        await loader.get("a")
    await loader.close()
    assert seen == [{}]


@pytest.fixture
async def with_fallback(
    backend: Backend,
) -> AsyncIterator[tuple[BatchLoader, Backend, BatchLoader]]:
    """A loader, the backend of its fallback, and the fallback."""
    there = Backend("far")
    fallback = BatchLoader(there.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60)
    loader = BatchLoader(
        backend.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60, fallback=fallback
    )
    yield loader, there, fallback
    await loader.close()
    await fallback.close()


async def test_callers_whose_key_was_not_found_move_to_the_fallback(
    with_fallback: tuple[BatchLoader, Backend, BatchLoader], backend: Backend
) -> None:
    loader, there, _ = with_fallback
    callers = [asyncio.create_task(loader.get(uids)) for uids in (["a", "far"], ["x"])]
    await settle()
    late = asyncio.create_task(loader.get(["far"]))
    await settle()
    await backend.answer(0)
    assert there.asked == [("far", "x")]
    later = asyncio.create_task(loader.get(["x"]))  # by a batch that leaves after the other one
    await settle()
    there.stored.add("x")
    await backend.answer(1)
    await there.answer(0)
    assert await asyncio.gather(*callers, late) == [documents("a", "far"), {}, documents("far")]
    assert there.asked == [("far", "x"), ("x",)]
    await there.answer(1)
    assert await later == documents("x")


async def test_callers_of_a_failed_batch_do_not_move_to_the_fallback(
    with_fallback: tuple[BatchLoader, Backend, BatchLoader], backend: Backend
) -> None:
    loader, there, _ = with_fallback
    one = asyncio.create_task(loader.get(["far"]))
    await settle()
    await backend.answer(0, Unavailable("down"))
    with pytest.raises(Unavailable):
        await one
    assert there.asked == []


async def test_callers_of_a_closed_fallback_get_unavailable(
    with_fallback: tuple[BatchLoader, Backend, BatchLoader], backend: Backend
) -> None:
    loader, there, fallback = with_fallback
    one = asyncio.create_task(loader.get(["far"]))
    await settle()
    await fallback.close()
    await backend.answer(0)
    with pytest.raises(Unavailable):
        await one
    assert there.asked == []


async def test_a_key_that_failed_in_a_batch_fails_only_its_callers() -> None:
    down = Unavailable("down")

    async def ask(uids: Sequence[str]) -> Mapping[str, bytes | Exception]:
        await asyncio.sleep(0)
        return documents("a") | {"b": down}

    loader = BatchLoader(ask, workers=1, max_batch=3)
    found, failed, missing = await asyncio.gather(
        *(loader.get([uid]) for uid in ("a", "b", "c")), return_exceptions=True
    )
    assert (found, missing) == (documents("a"), {})
    assert isinstance(failed, Unavailable)
    assert failed.__cause__ is down
    await loader.close()


async def test_batches_of_large_values_have_few_keys() -> None:
    sizes: list[int] = []
    value = bytes(MAX_BYTES // 4)

    async def load(keys: Sequence[str]) -> Mapping[str, bytes]:
        sizes.append(len(keys))
        return dict.fromkeys(keys, value)

    loader = BatchLoader(load, workers=1, max_batch=32)
    await loader.get([str(number) for number in range(1_000)])
    assert sizes[0] == 32
    assert 1 <= sizes[-2] <= 4
    value = b"small"
    await loader.get([str(number) for number in range(10_000)])
    assert sizes[-2] == 32
    await loader.close()


async def test_values_that_are_known_to_be_large_keep_nobody_waiting() -> None:
    batches: list[tuple[str, ...]] = []

    async def load(keys: Sequence[str]) -> Mapping[str, bytes]:
        batches.append(tuple(keys))
        return {key: bytes(MAX_BYTES if key.startswith("large") else 100) for key in keys}

    loader = BatchLoader(load, workers=1, max_batch=3)
    large = [f"large {number}" for number in range(20)]
    await loader.get(large)
    await loader.get([f"{number}" for number in range(100)])
    batches.clear()
    await loader.get([*large, "a", "b", "c", "d"])
    assert batches[:3] == [("large 0", "a", "b"), ("large 1", "c", "d"), ("large 2",)]
    assert len(batches) == len(large)
    await loader.close()


class Scene:
    """Callers, a store and questions about it that are answered in any order."""

    AT_ONCE, MOST = 2, 3

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.loader = BatchLoader(
            self.ask, workers=self.AT_ONCE, max_batch=self.MOST, queue_timeout=60, slow_after=60
        )
        self.callers: list[tuple[asyncio.Task[dict[str, bytes]], set[str], set[str]]] = []
        self.questions: list[asyncio.Future[None]] = []
        self.in_hand: set[str] = set()

    async def ask(self, uids: Sequence[str]) -> Mapping[str, bytes]:
        assert 0 < len(uids) <= self.MOST
        assert not self.in_hand & set(uids)
        self.in_hand.update(uids)
        found = documents(*self.stored.intersection(uids))
        question = asyncio.get_running_loop().create_future()
        self.questions.append(question)
        assert len(self.questions) <= self.AT_ONCE
        try:
            await question
        finally:
            self.in_hand.difference_update(uids)
        return found

    async def play(self, kind: str, uids: set[str], number: int) -> None:
        if kind == "look up":
            task = asyncio.create_task(self.loader.get(sorted(uids)))
            self.callers.append((task, uids, uids & self.stored))
            await asyncio.sleep(0)
        elif kind == "store":
            self.stored |= uids
        elif kind == "cancel" and self.callers:
            self.callers[number % len(self.callers)][0].cancel()
        elif kind == "answer" and self.questions:
            self.questions.pop(number % len(self.questions)).set_result(None)
            await settle()
        elif kind == "fail" and self.questions:
            self.questions.pop(number % len(self.questions)).set_exception(Unavailable("down"))
            await settle()

    async def finish(self) -> None:
        await settle()
        while self.questions:
            self.questions.pop().set_result(None)
            await settle()
        for caller, wanted, there in self.callers:
            assert caller.done()
            if caller.cancelled() or caller.exception():
                assert caller.cancelled() or isinstance(caller.exception(), Unavailable)
                continue
            assert there <= set(caller.result()) <= wanted & self.stored
            assert caller.result() == documents(*caller.result())
        await self.loader.close()


_STEPS = st.tuples(
    st.sampled_from(["look up", "look up", "look up", "store", "answer", "cancel", "fail"]),
    st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=5),
    st.integers(0, 99),
)


@given(st.lists(_STEPS, max_size=40))
async def test_whatever_happens_in_whatever_order_every_answer_is_right(
    steps: list[tuple[str, set[str], int]],
) -> None:
    scene = Scene()
    for step in steps:
        await scene.play(*step)
    await scene.finish()

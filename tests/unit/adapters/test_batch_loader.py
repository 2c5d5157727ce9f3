"""Look-ups that wait at the same time become one question, exact and harmless to each other."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, get_contextvars

from orders.adapters.read_path.batch_loader import BatchLoader
from orders.domain.errors import OrdersError, Unavailable
from tests.contracts.cache import documents


class Desk:
    """Answers questions when told to."""

    def __init__(self, *stored: str) -> None:
        self.stored = set(stored)
        self.asked: list[tuple[str, ...]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def ask(self, uids: Sequence[str]) -> Mapping[str, bytes]:
        # It looks when it is asked; what is stored later it does not see.
        found = documents(*(uid for uid in uids if uid in self.stored))
        self.asked.append(tuple(uids))
        answer = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        await answer
        return found

    async def answer(self, number: int, failure: Exception | None = None) -> None:
        """Let this question, counted from 0, have its answer."""
        if failure:
            self._answers[number].set_exception(failure)
        else:
            self._answers[number].set_result(None)
        await quiet()


async def quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def desk() -> Desk:
    return Desk("a", "b", "c")


@pytest.fixture
async def loader(desk: Desk) -> AsyncIterator[BatchLoader]:
    loader = BatchLoader(desk.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60)
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


async def test_a_lone_one_leaves_at_once(loader: BatchLoader, desk: Desk, start: Start) -> None:
    one = start("a")
    await asyncio.sleep(0)  # it asks
    await asyncio.sleep(0)  # its batch leaves
    assert desk.asked == [("a",)]
    await desk.answer(0)
    assert await one == documents("a")


async def test_who_asks_in_the_turn_in_which_all_flights_land_does_not_wait(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    callers = []
    for uid in ("a", "b"):
        callers.append(start(uid))
        await quiet()
    landing = asyncio.Event()

    async def third() -> dict[str, bytes]:
        await landing.wait()
        return await loader.get(["c"])

    late = asyncio.create_task(third())
    await quiet()
    for answer in desk._answers:
        answer.set_result(None)
    landing.set()
    await quiet()
    assert desk.asked == [("a",), ("b",), ("c",)]
    await desk.answer(2)
    assert await asyncio.gather(*callers, late) == [documents("a"), documents("b"), documents("c")]


async def test_what_comes_at_the_same_time_is_one_question(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    callers = [start("a"), start("b"), start("x"), start("a")]
    await quiet()
    assert desk.asked == [("a", "b", "x")]
    await desk.answer(0)
    assert [await caller for caller in callers] == [
        documents("a"),
        documents("b"),
        {},
        documents("a"),
    ]


async def test_newcomers_gather_while_all_flights_are_in_flight(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    start("a")
    await quiet()
    start("b")
    await quiet()
    later = [start("c"), start("x"), start("c")]
    await quiet()
    assert desk.asked == [("a",), ("b",)]
    await desk.answer(1)  # the other one is slow, and stops nobody
    assert desk.asked == [("a",), ("b",), ("c", "x")]
    await desk.answer(2)
    assert [await one for one in later] == [documents("c"), {}, documents("c")]


async def test_batches_are_bounded(loader: BatchLoader, desk: Desk, start: Start) -> None:
    many = [start(str(i)) for i in range(8)]
    await quiet()
    assert desk.asked == [("0", "1", "2"), ("3", "4", "5")]
    await desk.answer(0)
    assert desk.asked[2:] == [("6", "7")]
    await desk.answer(1)
    await desk.answer(2)
    assert await asyncio.gather(*many) == [{}] * 8


async def test_many_uids_of_one_caller_may_take_several_flights(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    one = start("a", "b", "x", "c", "a", "y")
    await quiet()
    assert desk.asked == [("a", "b", "x"), ("c", "y")]
    await desk.answer(1)
    assert not one.done()
    await desk.answer(0)
    assert await one == documents("a", "b", "c")


async def test_nothing_asked_nothing_done(loader: BatchLoader, desk: Desk) -> None:
    assert await loader.get([]) == {}
    assert desk.asked == []


async def test_one_flight_a_key(loader: BatchLoader, desk: Desk, start: Start) -> None:
    start("a")
    await quiet()
    late = start("a")
    await quiet()
    assert desk.asked == [("a",)]
    await desk.answer(0)
    assert await late == documents("a")
    assert desk.asked == [("a",)]


async def test_an_order_stored_before_it_was_asked_for_is_never_missed(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    early = start("new")
    await quiet()
    desk.stored.add("new")
    late, later = start("new"), start("new", "a")
    await quiet()
    assert desk.asked == [("new",), ("a",)]
    await desk.answer(0)
    assert await early == {}  # it was not there when it was asked for
    assert not late.done()
    assert desk.asked == [("new",), ("a",), ("new",)]
    await desk.answer(2)
    await desk.answer(1)
    assert await late == documents("new")
    assert await later == documents("new", "a")


async def test_a_caller_that_is_cancelled_harms_no_other(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    first, second = start("a"), start("a", "b")
    await quiet()
    late, waiting = start("a"), start("c")
    await quiet()
    for gone in (first, late):
        gone.cancel()
    await quiet()
    assert first.cancelled()
    assert late.cancelled()
    await desk.answer(0)
    await desk.answer(1)
    assert await second == documents("a", "b")
    assert await waiting == documents("c")


async def test_when_all_callers_are_gone_others_are_served(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    gone = [start("a"), start("x")]
    await quiet()
    for caller in gone:
        caller.cancel()
    await quiet()
    await desk.answer(0)
    one = start("x")
    await quiet()
    await desk.answer(1)
    assert await one == {}


async def test_a_failure_reaches_all_of_the_flight_and_nobody_else(
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    failure = Unavailable("away")
    aboard = [start("a"), start("a", "b")]
    cancelled = start("b")
    await quiet()
    late, other = start("b"), start("c")
    await quiet()
    cancelled.cancel()
    await desk.answer(0, failure)
    for caller in (*aboard, late):
        with pytest.raises(Unavailable) as caught:
            await caller
        assert caught.value.__cause__ is failure
    await desk.answer(1)
    assert await other == documents("c")
    again = start("a")
    await quiet()
    await desk.answer(2)
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
    loader: BatchLoader, desk: Desk, start: Start
) -> None:
    callers = [start("a"), start("a")]
    await quiet()
    away = Unavailable("away")
    await desk.answer(0, away)
    raised = await asyncio.gather(*callers, return_exceptions=True)
    assert raised[0] is not raised[1]
    assert all(isinstance(error, Unavailable) and error.__cause__ is away for error in raised)


async def test_a_caller_that_waits_for_a_turn_too_long_is_told_so(desk: Desk) -> None:
    loader = BatchLoader(desk.ask, workers=1, max_batch=3, queue_timeout=0.02)
    slow = asyncio.create_task(loader.get("a"))
    await quiet()
    with pytest.raises(Unavailable, match="slow"):
        await loader.get("b")
    with pytest.raises(Unavailable, match="slow"):
        await loader.get(["b", "c"])
    await desk.answer(0)
    assert await slow == documents("a")
    assert desk.asked == [("a",)]
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
        await quiet()


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    found = Timers()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", found.call_later)
    return found


async def test_a_flight_that_takes_long_stops_nobody(desk: Desk, timers: Timers) -> None:
    told: list[str] = []
    flying = BatchLoader(
        desk.ask, workers=1, max_batch=3, slow_after=SLOW, on_slow=lambda: told.append("slow")
    )
    stuck = asyncio.create_task(flying.get("a"))
    await quiet()
    other = asyncio.create_task(flying.get("b"))
    await quiet()
    assert desk.asked == [("a",)]
    await timers.run_in_flight()
    assert desk.asked == [("a",), ("b",)]
    assert told == ["slow"]
    assert flying.is_slow
    await desk.answer(1)
    assert await other == documents("b")
    assert not stuck.done()
    # What it was to bring is brought by another one, to its own callers as well.
    again = asyncio.create_task(flying.get("a"))
    await quiet()
    assert desk.asked[2:] == [("a",)]
    await desk.answer(2)
    assert await again == documents("a")
    assert await stuck == documents("a")
    await desk.answer(0)
    assert not flying.is_slow
    await flying.close()


async def test_so_many_that_take_long_and_no_more(desk: Desk, timers: Timers) -> None:
    flying = BatchLoader(desk.ask, workers=1, max_batch=1, slow_after=SLOW, spare_workers=2)
    callers = [asyncio.create_task(flying.get(uid)) for uid in "abcx"]
    for _ in range(5):
        await timers.run_in_flight()
    assert desk.asked == [("a",), ("b",), ("c",)]
    await desk.answer(1)
    assert desk.asked[3:] == [("x",)]
    for number in (0, 2, 3):
        await desk.answer(number)
    assert await asyncio.gather(*callers) == [*(documents(uid) for uid in "abc"), {}]
    await flying.close()


async def test_when_slow_batches_have_landed_there_are_no_more_than_before(
    desk: Desk, timers: Timers
) -> None:
    flying = BatchLoader(desk.ask, workers=1, max_batch=1, slow_after=SLOW)
    callers = [asyncio.create_task(flying.get(uid)) for uid in "abcx"]
    await quiet()
    await timers.run_in_flight()
    assert desk.asked == [("a",), ("b",)]
    await desk.answer(0)
    assert desk.asked == [("a",), ("b",)]  # its lane does not go on beside the other one
    await desk.answer(1)
    assert desk.asked == [("a",), ("b",), ("c",)]
    await desk.answer(2)
    await desk.answer(3)
    assert await asyncio.gather(*callers) == [*(documents(uid) for uid in "abc"), {}]
    await flying.close()


async def test_closing_ends_all_of_it(desk: Desk) -> None:
    loader = BatchLoader(desk.ask, workers=1, max_batch=1)
    flying = asyncio.create_task(loader.get("a"))
    await quiet()
    late, waiting = asyncio.create_task(loader.get("a")), asyncio.create_task(loader.get("b"))
    await quiet()
    await asyncio.wait_for(loader.close(), 1)
    for caller in (flying, late, waiting):
        with pytest.raises(Unavailable):
            await caller
    with pytest.raises(Unavailable):
        await loader.get("a")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await loader.open()
    again = asyncio.create_task(loader.get("a"))
    await quiet()
    await desk.answer(1)
    assert await again == documents("a")
    await loader.close()


async def test_closing_before_a_flight_has_left(desk: Desk) -> None:
    loader = BatchLoader(desk.ask, workers=1, max_batch=1)
    one = asyncio.create_task(loader.get("a"))
    await asyncio.sleep(0)
    await loader.close()
    with pytest.raises(Unavailable):
        await one
    await loader.open()
    again = asyncio.create_task(loader.get("a"))
    await quiet()
    assert desk.asked == [("a",)]
    await desk.answer(0)
    assert await again == documents("a")
    await loader.close()


async def test_lines_of_a_flight_are_not_those_of_its_first_caller() -> None:
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
async def onward(desk: Desk) -> AsyncIterator[tuple[BatchLoader, Desk, BatchLoader]]:
    """BatchLoader, the desk where they go on to, and those that do."""
    there = Desk("far")
    to_there = BatchLoader(there.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60)
    loader = BatchLoader(
        desk.ask, workers=2, max_batch=3, queue_timeout=60, slow_after=60, fallback=to_there
    )
    yield loader, there, to_there
    await loader.close()
    await to_there.close()


async def test_for_whom_nothing_was_brought_goes_onward(
    onward: tuple[BatchLoader, Desk, BatchLoader], desk: Desk
) -> None:
    loader, there, _ = onward
    callers = [asyncio.create_task(loader.get(uids)) for uids in (["a", "far"], ["x"])]
    await quiet()
    late = asyncio.create_task(loader.get(["far"]))
    await quiet()
    await desk.answer(0)
    assert there.asked == [("far", "x")]
    later = asyncio.create_task(loader.get(["x"]))  # by a batch that leaves after the other one
    await quiet()
    there.stored.add("x")
    await desk.answer(1)
    await there.answer(0)
    assert await asyncio.gather(*callers, late) == [documents("a", "far"), {}, documents("far")]
    assert there.asked == [("far", "x"), ("x",)]
    await there.answer(1)
    assert await later == documents("x")


async def test_a_failure_stops_those_who_would_have_gone_onward(
    onward: tuple[BatchLoader, Desk, BatchLoader], desk: Desk
) -> None:
    loader, there, _ = onward
    one = asyncio.create_task(loader.get(["far"]))
    await quiet()
    await desk.answer(0, Unavailable("away"))
    with pytest.raises(Unavailable):
        await one
    assert there.asked == []


async def test_where_onward_has_closed_it_is_told_so(
    onward: tuple[BatchLoader, Desk, BatchLoader], desk: Desk
) -> None:
    loader, there, to_there = onward
    one = asyncio.create_task(loader.get(["far"]))
    await quiet()
    await to_there.close()
    await desk.answer(0)
    with pytest.raises(Unavailable):
        await one
    assert there.asked == []


async def test_what_failed_of_a_flight_is_told_to_those_who_asked_for_it() -> None:
    away = Unavailable("away")

    async def ask(uids: Sequence[str]) -> Mapping[str, bytes | Exception]:
        await asyncio.sleep(0)
        return documents("a") | {"b": away}

    loader = BatchLoader(ask, workers=1, max_batch=3)
    found, failed, missing = await asyncio.gather(
        *(loader.get([uid]) for uid in ("a", "b", "c")), return_exceptions=True
    )
    assert (found, missing) == (documents("a"), {})
    assert isinstance(failed, Unavailable)
    assert failed.__cause__ is away
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
            await quiet()
        elif kind == "fail" and self.questions:
            self.questions.pop(number % len(self.questions)).set_exception(Unavailable("away"))
            await quiet()

    async def finish(self) -> None:
        await quiet()
        while self.questions:
            self.questions.pop().set_result(None)
            await quiet()
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
@settings(max_examples=60, deadline=None)
async def test_whatever_happens_in_whatever_order_every_answer_is_right(
    steps: list[tuple[str, set[str], int]],
) -> None:
    scene = Scene()
    for step in steps:
        await scene.play(*step)
    await scene.finish()

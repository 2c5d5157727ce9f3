"""Requests that begin at the same time leave the event loop to others in between."""

import asyncio
from itertools import pairwise

from orders.entrypoints.http.starts import MOST_IN_A_TURN, Starts

MANY = 10 * MOST_IN_A_TURN


async def test_others_have_their_turn_while_many_requests_begin() -> None:
    loop = asyncio.get_running_loop()
    starts = Starts()
    begun: list[int] = []
    seen: list[int] = []
    is_over = asyncio.Event()

    async def serve(number: int) -> None:
        begun.append(number)

    def look() -> None:
        seen.append(len(begun))
        if len(begun) < MANY:
            loop.call_soon(look)
        else:
            is_over.set()

    for number in range(MANY):
        starts.start(number, serve(number))
    look()
    await is_over.wait()
    assert begun == list(range(MANY))
    assert max(after - before for before, after in pairwise(seen)) == MOST_IN_A_TURN
    await asyncio.sleep(0)
    assert not starts.tasks


async def test_few_requests_begin_at_once() -> None:
    begun: list[int] = []
    starts = Starts()

    async def serve(number: int) -> None:
        begun.append(number)

    for _ in range(3):
        for number in range(MOST_IN_A_TURN):
            starts.start(number, serve(number))
        await asyncio.sleep(0)
        assert begun == list(range(MOST_IN_A_TURN))
        begun.clear()


async def test_who_leaves_before_its_turn_is_forgotten() -> None:
    begun: list[int] = []
    starts = Starts()

    async def serve(number: int) -> None:
        begun.append(number)

    for number in range(MOST_IN_A_TURN + 2):
        starts.start(number, serve(number))
    for number in (0, MOST_IN_A_TURN):  # one has begun, the other waits
        starts.forget(number)
    for _ in range(4):
        await asyncio.sleep(0)
    assert begun == [*range(MOST_IN_A_TURN), MOST_IN_A_TURN + 1]

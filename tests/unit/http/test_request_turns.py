"""Requests that begin at the same time leave the event loop to others in between."""

import asyncio
from functools import partial

from orders.entrypoints.http.request_turns import MOST_IN_A_TURN, MOST_READS, RequestTurns


class Setting:
    """Connections that each begin a request with what they send."""

    def __init__(self) -> None:
        self.turns = RequestTurns()
        self.begun: list[int] = []
        self.waiting = {number: partial(self.begin, number) for number in range(4 * MOST_IN_A_TURN)}

    def begin(self, number: int) -> None:
        self.turns.begin()
        self.begun.append(number)

    def send(self, number: int) -> None:
        if self.turns.is_over:
            self.turns.wait(self.waiting[number])
        else:
            self.begin(number)


async def test_others_have_their_turn_while_many_requests_begin() -> None:
    setting = Setting()
    for number in range(4 * MOST_IN_A_TURN):
        setting.send(number)
    for turn in range(1, 5):
        assert setting.begun == list(range(turn * MOST_IN_A_TURN))
        await asyncio.sleep(0)
    assert not setting.turns.is_over


async def test_what_was_too_much_for_a_turn_counts_in_the_next_ones() -> None:
    setting = Setting()
    setting.turns.begin(3 * MOST_READS)
    setting.send(1)
    for _ in range(2):
        await asyncio.sleep(0)
        assert setting.begun == []
    await asyncio.sleep(0)
    assert setting.begun == [1]


async def test_few_requests_begin_at_once() -> None:
    setting = Setting()
    for _ in range(3):
        for number in range(MOST_IN_A_TURN):
            setting.send(number)
        assert setting.begun == list(range(MOST_IN_A_TURN))
        setting.begun.clear()
        await asyncio.sleep(0)


async def test_who_leaves_before_its_turn_is_forgotten() -> None:
    setting = Setting()
    for number in range(MOST_IN_A_TURN + 2):
        setting.send(number)
    for number in (0, MOST_IN_A_TURN):  # one has begun, the other waits
        setting.turns.forget(setting.waiting[number])
    await asyncio.sleep(0)
    assert setting.begun == [*range(MOST_IN_A_TURN), MOST_IN_A_TURN + 1]


async def test_what_begins_no_request_does_not_hold_up_others() -> None:
    setting = Setting()
    seen: list[int] = []
    for number in range(MOST_IN_A_TURN):
        setting.send(number)
    for number in range(2 * MOST_IN_A_TURN):
        setting.turns.wait(partial(seen.append, number))
    await asyncio.sleep(0)
    assert seen == list(range(2 * MOST_IN_A_TURN))

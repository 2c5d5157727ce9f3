"""Messages that only claim to be replays: anybody who writes to the topic may send the headers."""

from datetime import datetime, timedelta

import pytest

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.dead_letters.index import Reference
from orders.domain.intake.messages import DeadLetter, Headers, Message
from orders.domain.ports import ReplayNote
from orders.domain.use_cases.list_dead_letters import ListDeadLetters, ListedDeadLetter
from orders.domain.use_cases.replay_dead_letters import (
    ReplayDeadLetters,
    ReplayReport,
    ReplayRequest,
)
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter
from tests.builders import START, dead_letter


def claim(
    offset: int,
    of: int,
    attempt: int,
    *,
    value: bytes = b"[1]",
    key: bytes = b"k",
    index: int = 0,
    of_index: int = 0,
    hours: float = 1,
) -> DeadLetter:
    """The dead letter of a message that claims to be a replay of the one at offset ``of``."""
    headers: Headers = (
        ("orders-replay-of", b"orders/0:%d:%d" % (of, of_index)),
        ("orders-attempt", b"%d" % (attempt - 1)),
    )
    return dead_letter(
        offset, index, value=value, key=key, headers=headers, hours=hours, attempt=attempt
    )


class Setting:
    def __init__(self, *written: DeadLetter) -> None:
        self.dead_letters = MemoryDeadLetters()
        self.dead_letters.written += written
        self.store = MemoryJournalStore()
        self.topic = MemoryTopic("orders", partitions=1)
        self._hours = 100.0

    @property
    def _parts(self) -> tuple[MemoryDeadLetterReader, MemoryReplayJournal]:
        return MemoryDeadLetterReader(self.dead_letters), MemoryReplayJournal(self.store)

    async def listed(self) -> dict[int, ListedDeadLetter]:
        found = await ListDeadLetters(*self._parts)()
        assert found.hidden == 0
        return {one.identity.origin.offset: one async for one in found.dead_letters}

    async def states(self) -> dict[int, tuple[str, int]]:
        return {n: (one.state, one.summary.attempt) for n, one in (await self.listed()).items()}

    async def replay(self, at: float) -> ReplayReport:
        def now() -> datetime:
            return START + timedelta(hours=at)

        replay = ReplayDeadLetters(*self._parts, MemoryReplayTarget(self.topic), now)
        return await replay(ReplayRequest())

    @property
    def messages(self) -> list[Message]:
        return self.topic.partitions[0]


VICTIM = dead_letter(1)


@pytest.mark.parametrize(
    "forged",
    [
        claim(7, of=1, attempt=100, value=b"[2]"),
        claim(7, of=1, attempt=100, key=b"other"),
        claim(7, of=1, attempt=1, value=b"[2]"),
        claim(7, of=1, attempt=100, value=b"[2]", hours=-1),
    ],
)
@pytest.mark.parametrize("comes_first", [False, True])
async def test_other_content_is_a_dead_letter_of_its_own(
    forged: DeadLetter, comes_first: bool
) -> None:
    setting = Setting(*((forged, VICTIM) if comes_first else (VICTIM, forged)))
    assert await setting.states() == {1: ("waiting", 1), 7: ("waiting", 1)}
    show = ShowDeadLetter(*setting._parts)
    for offset, expected in ((1, VICTIM), (7, forged)):
        shown = await show(Reference(None, 0, offset, None))
        assert (shown.root, shown.dead_letter.value) == (expected.identity, expected.value)
        assert (shown.dead_letter.attempt, shown.state) == (1, "waiting")


async def test_a_replay_of_it_is_noted_for_itself() -> None:
    setting = Setting(VICTIM, claim(7, of=1, attempt=100, value=b"[2]"))
    await setting.replay(at=2)
    assert [dict(message.headers) for message in setting.messages] == [
        {"orders-attempt": b"1", "orders-replay-of": b"orders/0:%d:0" % offset} for offset in (1, 7)
    ]
    assert await setting.states() == {1: ("replayed", 1), 7: ("replayed", 1)}
    setting.dead_letters.written.append(claim(8, of=7, attempt=2, value=b"[2]", hours=3))
    assert await setting.states() == {1: ("replayed", 1), 7: ("waiting", 2)}


@pytest.mark.parametrize("attempt", [2, 3, 100, 999])
async def test_no_attempt_of_equal_content_prevents_a_replay(attempt: int) -> None:
    setting = Setting(VICTIM, claim(7, of=1, attempt=attempt))
    assert await setting.states() == {1: ("waiting", 1)}
    assert (await setting.replay(at=2)).sent == {"invalid": 1}
    assert dict(setting.messages[0].headers)["orders-attempt"] == b"1"
    # It fails again. That must not hide behind the attempt which was claimed before.
    setting.dead_letters.written.append(claim(8, of=1, attempt=2, hours=3))
    assert await setting.states() == {1: ("waiting", 2)}


@pytest.mark.parametrize("attempt", [3, 100, 999])
async def test_equal_content_that_failed_before_the_replay_was_replayed_with_it(
    attempt: int,
) -> None:
    setting = Setting(VICTIM, claim(7, of=1, attempt=attempt))
    await setting.replay(at=2)
    assert await setting.states() == {1: ("replayed", 1)}
    setting.dead_letters.written.append(claim(8, of=1, attempt=attempt, hours=3))
    assert await setting.states() == {1: ("waiting", 2)}


async def test_it_is_exhausted_by_replays_alone() -> None:
    claims = [claim(10 + n, of=1, attempt=n) for n in range(2, 100)]
    setting = Setting(VICTIM, *claims)
    replays = 0
    while (await setting.replay(at=2 + replays)).sent:
        replays += 1
    assert replays == 2
    assert await setting.states() == {1: ("exhausted", 3)}


class TestWithoutItsOwnRecord:
    """Retention, or `orders dlq delete`, has removed it."""

    async def test_what_is_left_of_a_dead_letter_keeps_its_name_and_state(self) -> None:
        setting = Setting(claim(7, of=1, attempt=2), claim(8, of=1, attempt=3, hours=2))
        setting.store.notes[VICTIM.identity] = ReplayNote(START + timedelta(hours=1.5), 2)
        assert await setting.states() == {1: ("exhausted", 3)}

    @pytest.mark.parametrize("hours", [0, 9])
    async def test_other_content_hides_nothing(self, hours: float) -> None:
        forged = claim(9, of=1, attempt=100, value=b"[2]", hours=hours)
        setting = Setting(claim(7, of=1, attempt=2), forged)
        listed = await setting.listed()
        assert len(listed) == 2
        assert {one.summary.place for one in listed.values()} == {(0, 0), (0, 1)}
        assert {one.state for one in listed.values()} == {"waiting"}


async def test_a_name_cannot_be_taken_in_advance() -> None:
    ahead = claim(2, of=7, attempt=2, value=b"[3]", hours=0)
    forged = claim(7, of=1, attempt=2, value=b"[2]", hours=1)
    setting = Setting(ahead, VICTIM, forged)
    assert (await setting.states()).keys() == {1, 2, 7}
    assert (await setting.listed())[7].summary.place == (0, 2)


async def test_an_element_that_claims_an_element_has_no_attempts_without_replays() -> None:
    setting = Setting(claim(7, of=1, attempt=100, index=3, of_index=5))
    assert await setting.states() == {7: ("waiting", 1)}


async def test_the_first_element_of_what_could_not_be_decoded_is_of_its_own() -> None:
    whole = dead_letter(1, value=b"[1,2", code="undecodable")
    setting = Setting(whole, claim(7, of=1, attempt=2, value=b"1"))
    assert await setting.states() == {1: ("waiting", 1), 7: ("waiting", 1)}

"""Replays: what is sent, what is skipped, and that what is sent twice is recognised."""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic
from orders.domain.dead_letters.headers import replayed_identity
from orders.domain.dead_letters.index import Reference, Selection
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity, Message, Origin
from orders.domain.ports import Places, ReplayNote
from orders.domain.use_cases import replay_dead_letters
from orders.domain.use_cases.ingest_batch import IngestBatch
from orders.domain.use_cases.list_dead_letters import ListDeadLetters
from orders.domain.use_cases.replay_dead_letters import (
    ReplayDeadLetters,
    ReplayReport,
    ReplayRequest,
)
from tests import builders
from tests.builders import START
from tests.unit.domain.order.reference import REFERENCE


def dead_letter(
    offset: int, *, topic: str = "orders", code: ErrorCode = "invalid", **fields: Any
) -> DeadLetter:
    fields = {"value": str(offset).encode(), "headers": (("trace", b"1"),)} | fields
    return builders.dead_letter(offset, topic=topic, code=code, partition=1, timestamp=5, **fields)


class Setting:
    """All that a replay needs; the time goes on with every look at the clock."""

    def __init__(self, *written: DeadLetter | None) -> None:
        self.dead_letters = MemoryDeadLetters()
        self.dead_letters.written += written
        self.store = MemoryJournalStore()
        self.topic = MemoryTopic("orders", partitions=2)
        self.ticks = itertools.count()

    def now(self) -> datetime:
        return START + timedelta(days=1, seconds=next(self.ticks))

    def use_case(self, kill: "Kill | None" = None) -> ReplayDeadLetters:
        kill = kill or Kill(None)
        return ReplayDeadLetters(
            MemoryDeadLetterReader(self.dead_letters),
            MortalJournal(self.store, kill),
            MortalTarget(self.topic, kill),
            self.now,
        )

    async def replay(self, kill: "Kill | None" = None, **request: Any) -> ReplayReport:
        return await self.use_case(kill)(ReplayRequest(**request))

    @property
    def messages(self) -> list[Message]:
        return [message for partition in self.topic.partitions for message in partition]

    @property
    def sent(self) -> Counter[int]:
        """How often each dead letter was, by its offset."""
        found = (replayed_identity(message.headers) for message in self.messages)
        return Counter(identity.origin.offset for identity in found if identity)


class Killed(BaseException):
    pass


class Kill:
    """Ends the process at the ``step``-th moment at which anything changes outside."""

    def __init__(self, step: int | None) -> None:
        self.step = step
        self.passed = 0

    def maybe(self) -> None:
        if self.passed == self.step:
            raise Killed
        self.passed += 1


class MortalJournal(MemoryReplayJournal):
    def __init__(self, store: MemoryJournalStore, kill: Kill) -> None:
        super().__init__(store)
        self._kill = kill

    async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
        for identity, note in notes.items():
            self._kill.maybe()
            await super().note({identity: note})
        self._kill.maybe()


class MortalTarget(MemoryReplayTarget):
    def __init__(self, topic: MemoryTopic, kill: Kill) -> None:
        super().__init__(topic)
        self._kill = kill

    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        refused: list[DeadLetter] = []
        for one in dead_letters:
            self._kill.maybe()
            refused += await super().send([one])
        self._kill.maybe()
        return refused


@pytest.fixture
def small_chunks() -> Iterator[None]:
    with patch.object(replay_dead_letters, "CHUNK_RECORDS", 3):
        yield


class TestWhatIsSent:
    async def test_all_that_waits_once(self, small_chunks: None) -> None:
        setting = Setting(*map(dead_letter, range(10)), dead_letter(3))
        report = await setting.replay()
        assert report == ReplayReport(Counter({"invalid": 10}))
        assert setting.sent == Counter(range(10))
        assert await setting.replay() == ReplayReport(Counter(), skipped=10)
        assert setting.sent == Counter(range(10))

    async def test_as_it_was_with_its_attempt_and_who_it_is(self) -> None:
        setting = Setting(dead_letter(7, value=b"\xff{", attempt=2))
        await setting.replay()
        [message] = setting.messages
        assert (message.value, message.key) == (b"\xff{", b"k")
        assert message.timestamp > 5
        assert message.headers == (
            ("trace", b"1"),
            ("orders-attempt", b"2"),
            ("orders-replay-of", b"orders/1:7:0"),
        )

    async def test_only_what_was_selected(self) -> None:
        setting = Setting(
            dead_letter(1), dead_letter(2, code="empty"), dead_letter(3, code="empty"), None
        )
        one = Selection(references=(Reference(None, 1, 3, None),))
        report = await setting.replay(selection=one)
        assert report == ReplayReport(Counter({"empty": 1}), unrecognized=1)
        await setting.replay(selection=Selection(codes=frozenset({"empty"})))
        assert setting.sent == Counter([2, 3])

    async def test_what_has_failed_too_often_is_left_alone_and_named(self) -> None:
        setting = Setting(dead_letter(1, attempt=3), dead_letter(2, attempt=2))
        report = await setting.replay()
        assert report.exhausted == [dead_letter(1).identity]
        assert setting.sent == Counter([2])
        await setting.replay(max_attempts=4)
        assert setting.sent == Counter([1, 2])

    async def test_what_came_from_elsewhere_is_refused_and_named(self) -> None:
        setting = Setting(dead_letter(1, topic="elsewhere"), dead_letter(2))
        report = await setting.replay()
        assert report.foreign == [dead_letter(1, topic="elsewhere").identity]
        assert setting.sent == Counter([2])
        assert setting.store.notes.keys() == {dead_letter(2).identity}

    async def test_what_has_no_content_is_left_alone_and_named(self) -> None:
        omitted = dead_letter(1, value=None, headers=(), code="undecodable", omitted=2)
        setting = Setting(omitted, dead_letter(2))
        named = Selection(codes=frozenset({"undecodable", "invalid"}))
        report = await setting.replay(selection=named)
        assert report == ReplayReport(Counter({"invalid": 1}), omitted=[omitted.identity])
        assert setting.sent == Counter([2])

    async def test_what_the_topic_does_not_take_is_named_and_goes_on_waiting(self) -> None:
        large = dead_letter(1, value=b"x" * MAX_MESSAGE_BYTES)
        setting = Setting(large, dead_letter(2))
        report = await setting.replay()
        assert report == ReplayReport(Counter({"invalid": 1}), too_large=[large.identity])
        assert setting.store.notes.keys() == {dead_letter(2).identity}

    async def test_again_sends_what_was_sent_before(self) -> None:
        setting = Setting(dead_letter(1), dead_letter(2))
        await setting.replay(selection=Selection(references=(Reference(None, 1, 1, None),)))
        report = await setting.replay(include_replayed=True)
        assert report.sent == {"invalid": 2}
        assert setting.sent == Counter([1, 1, 2])
        await setting.replay(include_replayed=True)
        assert setting.sent == Counter([1, 1, 1, 2, 2])

    async def test_a_dry_run_changes_nothing(self) -> None:
        setting = Setting(dead_letter(1), dead_letter(2, attempt=9), dead_letter(3))
        report = await setting.replay(dry_run=True)
        assert report == ReplayReport(
            Counter({"invalid": 2}), [dead_letter(2, attempt=9).identity], remaining=2
        )
        assert not setting.messages
        assert not setting.store.notes

    async def test_memory_holds_no_more_than_a_chunk(self) -> None:
        chunks: list[int] = []

        class Target(MemoryReplayTarget):
            async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
                chunks.append(len(dead_letters))
                return await super().send(dead_letters)

        half = b"x" * (replay_dead_letters.CHUNK_BYTES // 20 - 100)
        written = [dead_letter(n, value=half, key=half) for n in range(25)]
        written += [dead_letter(n) for n in range(25, 600)]
        setting = Setting(*written)
        use_case = ReplayDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            Target(setting.topic),
        )
        await use_case(ReplayRequest())
        assert chunks == [10, 10, 500, 80]


def anew(offset: int, *, days: float, sent: int = 5, value: bytes = b"anew") -> DeadLetter:
    """A dead letter with an old identity: the topic was deleted and recreated."""
    message = Message(Origin("orders", 1, offset), None, b"k", sent)
    return DeadLetter(message, 0, value, "invalid", "$", START + timedelta(days=days))


class TestTopicsMadeAnew:
    @pytest.mark.parametrize("sent", [5, int((START.timestamp() + 30 * 86_400) * 1000)])
    async def test_a_new_dead_letter_of_an_old_name_waits(self, sent: int) -> None:
        setting = Setting(dead_letter(1))
        await setting.replay()
        setting.dead_letters.written.append(anew(1, days=30, sent=sent))
        assert (await setting.replay(dry_run=True)).sent == {"invalid": 1}
        setting.ticks = itertools.count(40 * 86_400)
        assert (await setting.replay()).sent == {"invalid": 1}
        assert [message.value for message in setting.messages] == [b"1", b"anew"]
        assert (await setting.replay()).skipped == 1

    async def test_so_does_one_whose_old_dead_letter_is_gone(self) -> None:
        setting = Setting(dead_letter(1))
        await setting.replay()
        setting.dead_letters.written[:] = [anew(1, days=30)]
        assert (await setting.replay()).sent == {"invalid": 1}

    async def test_a_copy_that_comes_late_is_what_was_replayed(self) -> None:
        setting = Setting(dead_letter(1))
        await setting.replay()
        late = msgspec.structs.replace(dead_letter(1), failed_at=START + timedelta(days=30))
        setting.dead_letters.written.append(late)
        assert (await setting.replay()).skipped == 1
        assert len(setting.messages) == 1

    async def test_a_consumer_whose_clock_is_ahead(self) -> None:
        setting = Setting(anew(1, days=30), anew(2, days=30))
        await setting.replay()
        assert (await setting.replay()).skipped == 2
        assert setting.sent == Counter([1, 2])


def failed_again(offset: int, of: int, attempt: int, value: bytes | None = None) -> DeadLetter:
    """What the consumer writes when a replay of dead letter ``of`` fails at ``offset``."""
    headers = (
        ("orders-attempt", b"%d" % (attempt - 1)),
        ("orders-replay-of", b"orders/1:%d:0" % of),
    )
    message = Message(Origin("orders", 1, offset), None, b"k", offset, headers)
    failed_at = START + timedelta(days=1, hours=attempt, minutes=offset)
    return DeadLetter(message, 0, value or b"%d" % of, "invalid", "$: is bad", failed_at, attempt)


class TestWhatFailsAgain:
    """It is the same dead letter, with a higher attempt."""

    async def test_a_replay_sent_twice_of_a_bad_message_is_one_dead_letter(self) -> None:
        setting = Setting(dead_letter(1))
        await setting.replay()
        setting.store.notes.clear()  # killed before it was noted
        await setting.replay()
        assert setting.sent == Counter([1, 1])
        setting.dead_letters.written += [failed_again(10, 1, 2), failed_again(11, 1, 2)]
        listed = await ListDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters), MemoryReplayJournal(setting.store)
        )()
        [found] = [one async for one in listed.dead_letters]
        assert (found.identity, found.summary.attempt) == (dead_letter(1).identity, 2)
        assert (found.state, found.summary.copies, listed.hidden) == ("waiting", 2, 0)
        setting.ticks = itertools.count(86_400)
        assert (await setting.replay()).sent == {"invalid": 1}
        assert dict(setting.messages[-1].headers)["orders-replay-of"] == b"orders/1:1:0"
        assert (await setting.replay()).skipped == 1

    @pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
    async def test_the_highest_attempt_counts_wherever_it_stands(
        self, order: tuple[int, ...]
    ) -> None:
        written = [dead_letter(1), failed_again(10, 1, 2), failed_again(99, 1, 2),
                   failed_again(11, 1, 3)]  # fmt: skip
        setting = Setting(*(written[number] for number in order))
        setting.store.notes[dead_letter(1).identity] = ReplayNote(START + timedelta(days=1), 2)
        report = await setting.replay(max_attempts=4)
        assert report == ReplayReport(Counter({"invalid": 1}))
        assert dict(setting.messages[0].headers)["orders-attempt"] == b"3"

    async def test_with_a_clock_ahead_of_the_consumers_it_waits_again(self) -> None:
        setting = Setting(dead_letter(1))
        setting.ticks = itertools.count(100 * 86_400)
        await setting.replay()
        setting.dead_letters.written.append(failed_again(10, 1, 2))
        assert (await setting.replay()).sent == {"invalid": 1}

    async def test_what_has_failed_too_often_stays_so(self) -> None:
        setting = Setting(dead_letter(1), failed_again(10, 1, 2), failed_again(11, 1, 3))
        setting.store.notes[dead_letter(1).identity] = ReplayNote(START + timedelta(days=1), 2)
        assert (await setting.replay(include_replayed=True)).exhausted == [dead_letter(1).identity]
        assert not setting.messages

    async def test_a_chain_of_the_former_version_is_named_by_its_parents(self) -> None:
        setting = Setting(dead_letter(1), failed_again(10, 1, 2), failed_again(11, 10, 3, b"1"))
        setting.store.notes |= {
            dead_letter(n).identity: ReplayNote(START + timedelta(days=1)) for n in (1, 10)
        }
        report = await setting.replay()
        assert report.exhausted == [dead_letter(10).identity]
        assert report.sent == {"invalid": 1}

    async def test_elements_of_what_could_not_be_decoded_before_are_one_each(self) -> None:
        whole = dead_letter(1, code="undecodable")
        sent_twice = [
            msgspec.structs.replace(failed_again(offset, 1, 2, b"{}"), index=3)
            for offset in (10, 11)
        ]
        setting = Setting(whole, *sent_twice)
        await setting.replay()
        [message] = setting.messages
        assert dict(message.headers)["orders-replay-of"] == b"orders/1:1:3"


class TestWhatFailsAsItIs:
    @pytest.mark.parametrize("code", ["undecodable", "empty"])
    async def test_it_is_sent_only_where_it_is_named(self, code: ErrorCode) -> None:
        setting = Setting(dead_letter(1, code=code), dead_letter(2))
        report = await setting.replay(selection=Selection(since=START))
        assert (report.sent, report.unnamed) == ({"invalid": 1}, {code: 1})
        assert setting.sent == Counter([2])
        await setting.replay(selection=Selection(references=(Reference(None, 1, 1, None),)))
        assert setting.sent == Counter([1, 2])
        named = Selection(codes=frozenset({code}))
        await setting.replay(selection=named, include_replayed=True)
        assert setting.sent == Counter([1, 1, 2])


class TestStopping:
    async def test_a_stop_leaves_the_rest_and_the_next_run_sends_it(
        self, small_chunks: None
    ) -> None:
        setting = Setting(*map(dead_letter, range(10)))
        answers = iter([False, False, True])
        report = await setting.use_case()(ReplayRequest(), wants_stop=lambda: next(answers))
        assert (report.is_stopped, report.remaining) == (True, 4)
        assert setting.sent == Counter(range(6))
        await setting.replay()
        assert setting.sent == Counter(range(10))

    async def test_progress_is_told(self, small_chunks: None) -> None:
        setting = Setting(*map(dead_letter, range(4)))
        told: list[tuple[str, int, int]] = []
        await setting.use_case()(ReplayRequest(), lambda *now: told.append(now))
        assert told == [*(("reading", n, 4) for n in range(1, 5)),
                        ("sending", 0, 4), ("sending", 3, 4), ("sending", 4, 4)]  # fmt: skip

    async def test_dead_letters_that_vanish_meanwhile_are_counted(self) -> None:
        setting = Setting(dead_letter(1), dead_letter(2))

        class Vanishing(MemoryDeadLetterReader):
            async def read(self, places: Places | None = None) -> AsyncIterator[Any]:
                async for entry in super().read(places):
                    yield entry
                setting.dead_letters.written[0] = None

        use_case = ReplayDeadLetters(
            Vanishing(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            MemoryReplayTarget(setting.topic),
        )
        report = await use_case(ReplayRequest())
        assert (report.remaining, report.is_stopped) == (1, False)


class TestKills:
    async def test_at_any_moment_nothing_is_forgotten(self, small_chunks: None) -> None:
        kill = Kill(None)
        await Setting(*map(dead_letter, range(8))).replay(kill)
        assert kill.passed > 20
        for step in range(kill.passed):
            setting = Setting(*map(dead_letter, range(8)))
            with pytest.raises(Killed):
                await setting.replay(Kill(step))
            await setting.replay()
            assert setting.sent.keys() == set(range(8)), f"killed at {step}"
            assert setting.sent.total() <= 8 + 3, "at most a chunk is sent once more"
            assert setting.store.notes.keys() == {dead_letter(n).identity for n in range(8)}

    async def test_a_topic_that_goes_away_is_a_cut_too(self, small_chunks: None) -> None:
        setting = Setting(*map(dead_letter, range(8)))

        class Failing(MemoryReplayTarget):
            async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
                await super().send(dead_letters[:2])
                raise Unavailable("away")

        use_case = ReplayDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            Failing(setting.topic),
        )
        with pytest.raises(Unavailable):
            await use_case(ReplayRequest())
        await setting.replay()
        assert setting.sent == Counter([*range(8), 0, 1])

    async def test_what_was_sent_is_reported_also_if_it_cannot_be_noted(self) -> None:
        setting = Setting(*map(dead_letter, range(2)))

        class Failing(MemoryReplayJournal):
            async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
                raise Unavailable("away")

        use_case = ReplayDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters),
            Failing(setting.store),
            MemoryReplayTarget(setting.topic),
        )
        reported: list[DeadLetter] = []
        with pytest.raises(Unavailable):
            await use_case(ReplayRequest(), on_sent=reported.extend)
        assert [one.identity.origin.offset for one in reported] == [0, 1]


async def test_a_valid_order_that_is_replayed_twice_is_stored_once() -> None:
    value = json.dumps(REFERENCE).encode()
    setting = Setting(dead_letter(1, code="rejected", value=value))
    await setting.replay()
    await setting.replay(include_replayed=True)
    assert setting.sent == Counter([1, 1])
    repository, dead_letters = MemoryOrderRepository(), MemoryDeadLetters()
    ingest = IngestBatch(
        repository, dead_letters, MemoryCache(10), 10, erasure=MemoryErasure(repository)
    )
    stored = [await ingest.store(ingest.prepare([message])) for message in setting.messages]
    assert [(one.saved, one.unchanged) for one in stored] == [(1, 0), (0, 1)]
    assert not dead_letters.written

"""Replays: what is sent, what is left alone, and that a kill at any moment changes neither."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic
from orders.domain.errors import ReplayInProgress, Unavailable
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity, Message, Origin
from orders.domain.letter_headers import replayed_identity
from orders.domain.letter_index import Reference, Selection
from orders.domain.ports import Mark, Replays, Run
from orders.domain.use_cases import replay_dead_letters
from orders.domain.use_cases.replay_dead_letters import ReplayDeadLetters, ReplayReport, Wish

START = datetime(2026, 1, 1, tzinfo=UTC)


def letter(
    offset: int, *, topic: str = "orders", code: ErrorCode = "invalid", **fields: Any
) -> DeadLetter:
    value = fields.pop("value", str(offset).encode())
    message = Message(Origin(topic, 1, offset), None, b"k", 5, (("trace", b"1"),))
    return DeadLetter(message, 0, value, code, "$: is bad", START, **fields)


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

    async def replay(self, kill: "Kill | None" = None, **wish: Any) -> ReplayReport:
        return await self.use_case(kill)(Wish(**wish))

    @property
    def messages(self) -> list[Message]:
        return [message for partition in self.topic.partitions for message in partition]

    @property
    def sent(self) -> Counter[int]:
        """How often each letter was, by its offset."""
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

    async def begin(self, run: Run) -> None:
        self._kill.maybe()
        await super().begin(run)
        self._kill.maybe()

    async def note(self, identities: Collection[Identity], at: datetime) -> None:
        for identity in identities:
            self._kill.maybe()
            await super().note([identity], at)
        self._kill.maybe()

    async def finish(self) -> None:
        self._kill.maybe()
        await super().finish()
        self._kill.maybe()


class MortalTarget(MemoryReplayTarget):
    def __init__(self, topic: MemoryTopic, kill: Kill) -> None:
        super().__init__(topic)
        self._kill = kill

    async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
        refused: set[Identity] = set()
        for one in letters:
            self._kill.maybe()
            refused |= set(await super().send([one]))
        self._kill.maybe()
        return refused


@pytest.fixture
def small_chunks() -> Iterator[None]:
    with small():
        yield


def small() -> Any:
    return patch.multiple(replay_dead_letters, CHUNK_LETTERS=3, MARK_EVERY=2)


class TestWhatIsSent:
    async def test_all_that_waits_once(self, small_chunks: None) -> None:
        setting = Setting(*map(letter, range(10)), letter(3))
        report = await setting.replay()
        assert report == ReplayReport(Counter({"invalid": 10}), [], [], [])
        assert setting.sent == Counter(range(10))
        assert await setting.replay() == ReplayReport(Counter(), [], [], [], already=10)
        assert setting.sent == Counter(range(10))
        assert setting.store.unfinished is None

    async def test_as_it_was_with_its_attempt_and_who_it_is(self) -> None:
        setting = Setting(letter(7, value=b"\xff{", attempt=2))
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
        setting = Setting(letter(1), letter(2, code="empty"), letter(3, code="empty"), None)
        one = Selection(references=(Reference(None, 1, 3, None),))
        report = await setting.replay(selection=one)
        assert report == ReplayReport(Counter({"empty": 1}), [], [], [], strangers=1)
        await setting.replay(selection=Selection(codes=frozenset({"empty"})))
        assert setting.sent == Counter([2, 3])

    async def test_what_has_failed_too_often_is_left_alone_and_named(self) -> None:
        setting = Setting(letter(1, attempt=3), letter(2, attempt=2))
        report = await setting.replay()
        assert report.given_up == [letter(1).identity]
        assert setting.sent == Counter([2])
        await setting.replay(max_attempts=4)
        assert setting.sent == Counter([1, 2])

    async def test_what_came_from_elsewhere_is_refused_and_named(self) -> None:
        setting = Setting(letter(1, topic="elsewhere"), letter(2))
        report = await setting.replay()
        assert report.foreign == [letter(1, topic="elsewhere").identity]
        assert setting.sent == Counter([2])
        assert setting.store.replayed.keys() == {letter(2).identity}

    async def test_what_the_topic_does_not_take_is_named_and_goes_on_waiting(self) -> None:
        large = letter(1, value=b"x" * MAX_MESSAGE_BYTES)
        setting = Setting(large, letter(2))
        report = await setting.replay()
        assert report == ReplayReport(Counter({"invalid": 1}), [], [], [large.identity])
        assert setting.store.replayed.keys() == {letter(2).identity}

    async def test_again_sends_what_was_sent_before(self) -> None:
        setting = Setting(letter(1), letter(2))
        await setting.replay(selection=Selection(references=(Reference(None, 1, 1, None),)))
        report = await setting.replay(again=True)
        assert report.sent == {"invalid": 2}
        assert setting.sent == Counter([1, 1, 2])
        await setting.replay(again=True)
        assert setting.sent == Counter([1, 1, 1, 2, 2])

    async def test_a_dry_run_changes_nothing(self) -> None:
        setting = Setting(letter(1), letter(2, attempt=9), letter(3))
        setting.store.holder = object()  # nor does it wait for others
        report = await setting.replay(dry_run=True)
        assert report == ReplayReport(
            Counter({"invalid": 2}), [letter(2, attempt=9).identity], [], [], left=2
        )
        assert not setting.messages
        assert not setting.store.replayed
        assert setting.store.unfinished is None

    async def test_memory_holds_no_more_than_a_chunk(self) -> None:
        chunks: list[int] = []

        class Target(MemoryReplayTarget):
            async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
                chunks.append(len(letters))
                return await super().send(letters)

        half = b"x" * (replay_dead_letters.CHUNK_BYTES // 10)
        written = [letter(n, value=half) for n in range(25)]
        written += [letter(n) for n in range(25, 600)]
        setting = Setting(*written)
        use_case = ReplayDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            Target(setting.topic),
        )
        await use_case(Wish())
        assert chunks == [10, 10, 500, 80]


def anew(offset: int, *, days: float, sent: int = 5, value: bytes = b"anew") -> DeadLetter:
    """A letter under an old name: the topic was deleted and made anew."""
    message = Message(Origin("orders", 1, offset), None, b"k", sent)
    return DeadLetter(message, 0, value, "invalid", "$", START + timedelta(days=days))


class TestTopicsMadeAnew:
    @pytest.mark.parametrize("sent", [5, int((START.timestamp() + 30 * 86_400) * 1000)])
    async def test_a_new_letter_of_an_old_name_waits(self, sent: int) -> None:
        setting = Setting(letter(1))
        await setting.replay()
        setting.dead_letters.written.append(anew(1, days=30, sent=sent))
        assert (await setting.replay(dry_run=True)).sent == {"invalid": 1}
        setting.ticks = itertools.count(40 * 86_400)
        assert (await setting.replay()).sent == {"invalid": 1}
        assert [message.value for message in setting.messages] == [b"1", b"anew"]
        assert (await setting.replay()).already == 1

    async def test_so_does_one_whose_old_letter_is_gone(self) -> None:
        setting = Setting(letter(1))
        await setting.replay()
        setting.dead_letters.written[:] = [anew(1, days=30)]
        assert (await setting.replay()).sent == {"invalid": 1}

    async def test_a_copy_that_comes_late_is_what_was_replayed(self) -> None:
        setting = Setting(letter(1))
        await setting.replay()
        late = msgspec.structs.replace(letter(1), failed_at=START + timedelta(days=30))
        setting.dead_letters.written.append(late)
        assert (await setting.replay()).already == 1
        assert len(setting.messages) == 1

    @pytest.mark.parametrize("is_killed", [False, True])
    async def test_a_consumer_whose_clock_is_ahead(self, is_killed: bool) -> None:
        setting = Setting(anew(1, days=30), anew(2, days=30))
        if is_killed:
            with pytest.raises(Killed):
                await setting.replay(Kill(4))  # sent, not noted
        await setting.replay()
        assert (await setting.replay()).already == 2
        assert setting.sent == Counter([1, 2])


def successor(offset: int, of: int, attempt: int) -> DeadLetter:
    headers = (("orders-replay-of", f"orders/1:{of}:0".encode()),)
    message = Message(Origin("orders", 1, offset), None, b"k", 5, headers)
    return DeadLetter(
        message, 0, b"1", "invalid", "$: is bad", START + timedelta(days=1, hours=attempt), attempt
    )


class TestAgainInChains:
    """A letter whose message fails again is followed by another letter."""

    async def test_only_the_last_is_sent(self) -> None:
        setting = Setting(letter(1), letter(9))
        await setting.replay()
        setting.dead_letters.written.append(successor(10, of=1, attempt=2))
        report = await setting.replay(again=True)
        assert (report.sent, report.superseded) == ({"invalid": 2}, 1)
        assert setting.sent == Counter([1, 9, 9, 10])
        attempts = [dict(m.headers)["orders-attempt"] for m in setting.messages]
        assert sorted(attempts) == [b"1", b"1", b"1", b"2"]

    async def test_what_is_given_up_stays_so(self) -> None:
        chain = [letter(1), successor(10, of=1, attempt=2), successor(11, of=10, attempt=3)]
        setting = Setting(*chain)
        setting.store.replayed |= {one.identity: START + timedelta(days=3) for one in chain[:2]}
        report = await setting.replay(again=True)
        assert (report.superseded, report.given_up) == (2, [chain[2].identity])
        one = Selection(references=(Reference(None, 1, 1, None),))
        assert (await setting.replay(again=True, selection=one)).superseded == 1
        assert not setting.messages

    async def test_a_letter_of_an_old_name_has_no_part_in_the_old_chain(self) -> None:
        setting = Setting(letter(1), successor(10, of=1, attempt=2), anew(1, days=30))
        setting.store.replayed[letter(1).identity] = START + timedelta(days=31)
        assert (await setting.replay(again=True)).superseded == 0

    async def test_a_letter_does_not_follow_itself(self) -> None:
        setting = Setting(successor(1, of=1, attempt=2))
        await setting.replay()
        assert (await setting.replay(again=True)).sent == {"invalid": 1}


class TestStopping:
    async def test_a_stop_leaves_the_rest_and_the_next_run_sends_it(
        self, small_chunks: None
    ) -> None:
        setting = Setting(*map(letter, range(10)))
        answers = iter([False, False, True])
        report = await setting.use_case()(Wish(), wants_stop=lambda: next(answers))
        assert (report.is_stopped, report.left) == (True, 4)
        assert setting.sent == Counter(range(6))
        assert setting.store.unfinished is None
        await setting.replay()
        assert setting.sent == Counter(range(10))

    async def test_again_goes_on_where_it_was_stopped(self, small_chunks: None) -> None:
        setting = Setting(*map(letter, range(10)))
        await setting.replay()
        answers = iter([False, True])
        await setting.use_case()(Wish(again=True), wants_stop=lambda: next(answers))
        await setting.replay(again=True)
        assert setting.sent == Counter([*range(10), *range(10)])
        assert setting.store.unfinished is None

    async def test_two_at_once_are_refused(self) -> None:
        setting = Setting(letter(1))
        setting.store.holder = object()
        with pytest.raises(ReplayInProgress):
            await setting.replay()
        assert not setting.messages

    async def test_progress_is_told(self, small_chunks: None) -> None:
        setting = Setting(*map(letter, range(4)))
        told: list[tuple[str, int, int]] = []
        await setting.use_case()(Wish(), lambda *now: told.append(now))
        assert told == [*(("reading", n, 4) for n in range(1, 5)),
                        ("sending", 0, 4), ("sending", 3, 4), ("sending", 4, 4)]  # fmt: skip

    async def test_letters_that_vanish_meanwhile_are_counted(self) -> None:
        setting = Setting(letter(1), letter(2))

        class Vanishing(MemoryDeadLetterReader):
            async def read(self) -> AsyncIterator[Any]:
                async for entry in super().read():
                    yield entry
                setting.dead_letters.written[0] = None

        use_case = ReplayDeadLetters(
            Vanishing(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            MemoryReplayTarget(setting.topic),
        )
        report = await use_case(Wish())
        assert (report.left, report.is_stopped) == (1, False)


async def moments(make: Callable[[], Setting], **wish: Any) -> int:
    kill = Kill(None)
    await make().replay(kill, **wish)
    return kill.passed


def prepared() -> Setting:
    setting = Setting(*map(letter, range(8)))
    setting.topic.append(b"{}", None)
    return setting


class TestKills:
    async def test_at_any_moment_each_is_sent_once(self, small_chunks: None) -> None:
        amount = await moments(prepared)
        assert amount > 25
        for step in range(amount):
            setting = prepared()
            with pytest.raises(Killed):
                await setting.replay(Kill(step))
            await setting.replay()
            assert setting.sent == Counter(range(8)), f"killed at {step}"
            assert setting.store.unfinished is None

    async def test_with_again_each_is_sent_once_more(self, small_chunks: None) -> None:
        amount = await moments(prepared, again=True)
        for step in range(amount):
            setting = prepared()
            await setting.replay(selection=Selection(references=(Reference(None, 1, 3, None),)))
            with pytest.raises(Killed):
                await setting.replay(Kill(step), again=True)
            if step < amount - 1:  # the last moment is after its end
                await setting.replay(again=True)
            assert setting.sent == Counter([*range(8), 3]), f"killed at {step}"

    @settings(max_examples=150, deadline=None)
    @given(
        offsets=st.lists(st.integers(0, 12), max_size=20),
        kills=st.lists(st.integers(0, 45), max_size=6),
        chunk=st.integers(1, 5),
        mark_every=st.integers(1, 3),
    )
    async def test_however_often_it_is_killed(
        self, offsets: list[int], kills: list[int], chunk: int, mark_every: int
    ) -> None:
        setting = Setting(*map(letter, offsets))
        with patch.multiple(replay_dead_letters, CHUNK_LETTERS=chunk, MARK_EVERY=mark_every):
            for step in kills:
                try:
                    await setting.replay(Kill(step))
                except Killed:
                    setting.topic.append(b"[]")  # life goes on
            await setting.replay()
        assert setting.sent == Counter(set(offsets))
        assert setting.store.replayed.keys() == {letter(n).identity for n in offsets}
        assert setting.store.unfinished is None

    async def test_a_dry_run_knows_what_was_sent_but_not_noted(self, small_chunks: None) -> None:
        setting = prepared()
        with pytest.raises(Killed):
            await setting.replay(Kill(2 + 3))  # begun, and three sent
        assert not setting.store.replayed
        report = await setting.replay(dry_run=True)
        assert (report.caught_up, report.sent) == (3, {"invalid": 5})
        assert not setting.store.replayed
        assert setting.store.unfinished is not None

    async def test_a_topic_that_goes_away_is_a_cut_too(self, small_chunks: None) -> None:
        setting = prepared()

        class Failing(MemoryReplayTarget):
            async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
                await super().send(letters[:2])
                raise Unavailable("away")

        use_case = ReplayDeadLetters(
            MemoryDeadLetterReader(setting.dead_letters),
            MemoryReplayJournal(setting.store),
            Failing(setting.topic),
        )
        with pytest.raises(Unavailable):
            await use_case(Wish())
        report = await setting.replay()
        assert report.caught_up == 2
        assert setting.sent == Counter(range(8))

    async def test_another_machine_whose_clock_is_behind(self, small_chunks: None) -> None:
        setting = prepared()
        with pytest.raises(Killed):
            await setting.replay(Kill(12), again=True)
        setting.ticks = itertools.count(-100_000)
        with pytest.raises(Killed):
            await setting.replay(Kill(12), again=True)
        await setting.replay(again=True)
        assert setting.sent == Counter(range(8))

    async def test_a_topic_that_was_made_anew_has_nothing_of_the_run(self) -> None:
        setting = Setting(letter(1))
        mark: Mark = {0: 10**6, 9: 3}
        setting.store.unfinished = Run(START, mark)
        setting.store.replayed = {}
        report = await setting.replay()
        assert (report.caught_up, report.sent) == (0, {"invalid": 1})
        assert setting.store.unfinished is None


async def test_the_journal_reads_what_it_says() -> None:
    setting = Setting(letter(1))
    await setting.replay()
    replays = await MemoryReplayJournal(setting.store).read()
    assert isinstance(replays, Replays)
    assert replays.replayed.keys() == {letter(1).identity}

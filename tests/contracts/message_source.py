"""What every message source keeps to. Subclasses give the fixture ``side``."""

import asyncio
from abc import abstractmethod
from collections import defaultdict
from contextlib import suppress
from typing import Protocol

import pytest

from orders.domain.intake.messages import Batch, Headers, Message, Origin
from orders.domain.ports import MessageSource

PATIENCE = 15.0
"""Seconds in which what was sent must have come."""
QUIET = 0.5
"""Seconds of silence after which nothing more is expected."""


class SourceSide(Protocol):
    """The other side of the port: a topic of several partitions that is empty at first."""

    @abstractmethod
    async def send(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> Origin:
        """Put a message into the topic."""

    @abstractmethod
    async def send_many(self, values: list[bytes]) -> None:
        """Put many messages into the topic."""

    @abstractmethod
    async def open(self) -> MessageSource:
        """A new source on the topic, for the one group."""

    @abstractmethod
    async def close(self, source: MessageSource) -> None:
        """End a source."""


async def receive(source: MessageSource, amount: int) -> list[Batch]:
    """Batches with at least so many messages in all."""
    batches: list[Batch] = []
    async with asyncio.timeout(PATIENCE):
        while sum(len(batch.messages) for batch in batches) < amount:
            batches.append(await source.receive())
    return batches


async def nothing_comes(source: MessageSource) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET):
            await source.receive()
        return False
    return True


def messages_of(batches: list[Batch]) -> list[Message]:
    return [message for batch in batches for message in batch.messages]


def values_of(batches: list[Batch]) -> list[bytes | None]:
    return sorted((message.value for message in messages_of(batches)), key=lambda v: v or b"")


class MessageSourceContract:
    @pytest.fixture
    def side(self) -> SourceSide:
        raise NotImplementedError

    async def test_gives_a_message_as_it_was_sent(self, side: SourceSide) -> None:
        headers = (("x-request-id", b"r-1"), ("twice", b"a"), ("twice", b"\xff\x00"), ("", b""))
        origin = await side.send(b"\x00 any bytes \xff", b"key\xff", headers, 1_600_000_000_123)
        source = await side.open()
        [batch] = await receive(source, 1)
        expected = Message(origin, b"\x00 any bytes \xff", b"key\xff", 1_600_000_000_123, headers)
        assert batch.messages == (expected,)

    async def test_tells_null_from_empty(self, side: SourceSide) -> None:
        for value, key in ((None, b"k"), (b"", b"k"), (b"v", None), (b"v", b"")):
            await side.send(value, key)
        source = await side.open()
        got = {(m.value, m.key) for m in messages_of(await receive(source, 4))}
        assert got == {(None, b"k"), (b"", b"k"), (b"v", None), (b"v", b"")}

    async def test_waits_for_the_first_message(self, side: SourceSide) -> None:
        source = await side.open()
        waiting = asyncio.create_task(source.receive())
        await asyncio.sleep(QUIET)
        assert not waiting.done()
        await side.send(b"at last")
        async with asyncio.timeout(PATIENCE):
            assert [m.value for m in (await waiting).messages] == [b"at last"]

    async def test_gives_each_message_once_and_in_order(self, side: SourceSide) -> None:
        await side.send_many([str(n).encode() for n in range(5_000)])
        source = await side.open()
        batches = await receive(source, 5_000)
        offsets = defaultdict(list)
        for message in messages_of(batches):
            offsets[message.origin.partition].append(message.origin.offset)
        assert sorted(int(v or b"") for v in values_of(batches)) == list(range(5_000))
        for found in offsets.values():
            assert found == list(range(len(found)))
        assert all(0 < len(batch.messages) <= 1_200 for batch in batches)
        assert await nothing_comes(source)

    async def test_large_messages_come_in_batches_of_bounded_size(self, side: SourceSide) -> None:
        large = [bytes([n]) * 900_000 for n in range(12)]
        for value in large:
            await side.send(value)
        source = await side.open()
        batches = await receive(source, len(large))
        assert values_of(batches) == large
        for batch in batches:
            assert sum(len(message.value or b"") for message in batch.messages) <= 14 * 128 * 1024

    async def test_what_was_not_committed_comes_again(self, side: SourceSide) -> None:
        await side.send_many([b"a", b"b", b"c"])
        first = await side.open()
        assert values_of(await receive(first, 3)) == [b"a", b"b", b"c"]
        assert await nothing_comes(first)  # and nothing is committed by itself meanwhile
        await side.close(first)
        second = await side.open()
        assert values_of(await receive(second, 3)) == [b"a", b"b", b"c"]

    async def test_what_was_committed_does_not_come_again(self, side: SourceSide) -> None:
        await side.send_many([b"a", b"b", b"c"])
        first = await side.open()
        for batch in await receive(first, 3):
            await first.commit(batch)
        await side.send(b"d")
        await side.close(first)
        second = await side.open()
        assert values_of(await receive(second, 1)) == [b"d"]
        assert await nothing_comes(second)

    async def test_a_commit_covers_the_batches_before_it(self, side: SourceSide) -> None:
        first = await side.open()
        batches = []
        for value in (b"a", b"b", b"c", b"d"):
            await side.send(value)
            batches += await receive(first, 1)
        await first.commit(batches[2])
        await side.close(first)
        second = await side.open()
        assert values_of(await receive(second, 1)) == [b"d"]

    async def test_committing_again_or_an_older_batch_takes_nothing_back(
        self, side: SourceSide
    ) -> None:
        first = await side.open()
        await side.send(b"a")
        [old] = await receive(first, 1)
        await side.send(b"b")
        [new] = await receive(first, 1)
        for batch in (new, new, old):
            await first.commit(batch)
        await side.send(b"c")
        await side.close(first)
        second = await side.open()
        assert values_of(await receive(second, 1)) == [b"c"]

    async def test_goes_on_after_a_commit(self, side: SourceSide) -> None:
        source = await side.open()
        for value in (b"a", b"b", b"c"):
            await side.send(value)
            [batch] = await receive(source, 1)
            assert values_of([batch]) == [value]
            await source.commit(batch)

    async def test_a_cancelled_receive_loses_nothing(self, side: SourceSide) -> None:
        source = await side.open()
        for delay in (0.0, 0.05, 0.2):
            waiting = asyncio.create_task(source.receive())
            await asyncio.sleep(delay)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        sent = [str(n).encode() for n in range(20)]
        got: list[bytes | None] = []
        async with asyncio.timeout(PATIENCE):
            for value in sent:
                waiting = asyncio.create_task(source.receive())
                await side.send(value)
                waiting.cancel()
                with suppress(asyncio.CancelledError):
                    got += [message.value for message in (await waiting).messages]
            while len(got) < len(sent):
                got += [message.value for message in (await source.receive()).messages]
        assert sorted(got) == sorted(sent)  # type: ignore[type-var]

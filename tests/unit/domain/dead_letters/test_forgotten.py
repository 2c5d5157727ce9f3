"""Which orders a dead letter names, and that those of forgotten ones are left out."""

import json
import subprocess
import sys
from collections.abc import Collection

import pytest

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.dead_letters import forgotten
from orders.domain.dead_letters.forgotten import (
    RememberedDeadLetters,
    order_uids_in,
    without_forgotten,
)
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from tests import builders


def named(value: bytes | None, key: bytes | None = None, offset: int = 0) -> DeadLetter:
    return builders.dead_letter(offset, value=value, key=key)


class Counting(MemoryErasure):
    """Remembers how many orders it was asked for."""

    def __init__(self) -> None:
        super().__init__(MemoryOrderRepository())
        self.asked: list[int] = []

    async def forgotten_among(self, order_uids: Collection[str]) -> frozenset[str]:
        self.asked.append(len(order_uids))
        return await super().forgotten_among(order_uids)


@pytest.mark.parametrize(
    ("value", "key", "uids"),
    [
        (b'{"order_uid":"a","items":[]}', None, {"a"}),
        (b'{"x":{"order_uid":"b"},"order_uid":"a"}', b"other", {"a"}),
        (json.dumps({"order_uid": 'заказ "1"'}).encode(), None, {'заказ "1"'}),
        (b'[{"order_uid":"a"},{"order_uid" : "b"}]', b"k", {"a", "b"}),
        (b'{"order_uid":"a", broken', b"k", {"a"}),
        (b'{"order_uid":5}', b"k", {"k"}),
        (b"\xff", b"k", {"k"}),
        (b"\xff", None, set()),
        (None, b"k", {"k"}),
        (b"[" * 100_000 + b'{"order_uid":"a"}', None, {"a"}),
        (b'{"order_uid":"\\ud800"', b"", set()),
        (b'{"order_uid":"%b"}' % (b"a" * 256), b"k", set()),
        (b"?", b"k" * 256, set()),
    ],
)
def test_order_uids(value: bytes | None, key: bytes | None, uids: set[str]) -> None:
    assert order_uids_in(named(value, key)) == uids


def test_a_long_text_takes_little_memory() -> None:
    program = """
import resource
from tests.unit.domain.dead_letters.test_forgotten import named, order_uids_in
resource.setrlimit(resource.RLIMIT_AS, (700 << 20, -1))
assert order_uids_in(named(b'{"order_uid":"' + b"a" * 8_000_000)) == set()
assert order_uids_in(named(b'{"order_uid":"' + b"!a" * 4_000_000)) == set()
"""
    program = program.replace("!", chr(92) * 2)
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_only_those_whose_orders_are_all_forgotten_are_left_out() -> None:
    erasure = MemoryErasure(MemoryOrderRepository())
    await erasure.forget(["a", "b"])
    gone = [named(b'{"order_uid":"a"}'), named(b'[{"order_uid":"a"},{"order_uid":"b"}]')]
    kept = [named(b'[{"order_uid":"a"},{"order_uid":"c"}]'), named(b"?"), named(b"{}", b"c")]
    assert await without_forgotten([*gone, *kept], erasure) == kept


async def test_very_many_names_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "_MAX_NAMED", 2)
    assert order_uids_in(named(b'[{"order_uid":"a"},{"order_uid":"b"}]')) == {"a", "b"}
    assert order_uids_in(named(b'[{"order_uid":"a"},{"order_uid":"b"},{"order_uid":"c"}]')) == set()
    assert order_uids_in(named(b'[{"order_uid":"a"}' + b',{"order_uid":"a"}' * 2 + b"]")) == set()


async def test_very_many_names_in_all_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of a kilobyte may unpack to a thousand dead letters with a thousand names each."""
    monkeypatch.setattr(forgotten, "_MAX_NAMED", 10)
    erasure = Counting()
    await erasure.forget(["gone"])
    one = named(b'{"order_uid":"gone"}')
    three = named(b'[{"order_uid":"gone"},{"order_uid":"gone"},{"order_uid":" "}]')
    kept = await without_forgotten([one, three, three, one, three, three, one], erasure)
    assert kept == [three, three]
    assert sum(erasure.asked) == 1

    looked_at = 0
    decode = forgotten._decode_text

    def counting(literal: bytes) -> str:
        nonlocal looked_at
        looked_at += 1
        return decode(literal)

    monkeypatch.setattr(forgotten, "_decode_text", counting)
    for name in (b" ", b"\\ud800"):  # the latter is none
        many = named(b'[{"order_uid":"%b"}]' % b'"},{"order_uid":"'.join([name] * 4))
        looked_at = 0
        assert len(await without_forgotten([many] * 100, erasure)) == 100
        assert looked_at <= 10


async def test_few_orders_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "_UIDS_AT_ONCE", 2)
    erasure = Counting()
    await erasure.forget(["0", "4"])
    all_named = [named(b'{"order_uid":"%d"}' % n) for n in range(5)]
    assert await without_forgotten(all_named, erasure) == all_named[1:4]
    assert sorted(erasure.asked) == [1, 2, 2]


async def test_keys_count_in_what_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "_CHUNK_BYTES", 10)
    topic = MemoryDeadLetters()
    topic.written += [named(None, b"key-%d" % n, n) for n in range(5)]
    erasure = Counting()
    reader = RememberedDeadLetters(MemoryDeadLetterReader(topic), erasure)
    assert len([entry async for entry in reader.read()]) == 5
    assert erasure.asked == [2, 2, 1]


async def test_a_reader_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "_CHUNK", 2)
    topic = MemoryDeadLetters()
    repository = MemoryOrderRepository()
    erasure = MemoryErasure(repository)
    reader = RememberedDeadLetters(MemoryDeadLetterReader(topic), erasure)
    topic.written += [named(b'{"order_uid":"%d"}' % n, offset=n) for n in range(5)]
    topic.written.append(None)
    await erasure.forget(["1", "4"])
    entries = [entry async for entry in reader.read()]
    assert [entry.place[1] for entry in entries] == list(range(6))
    assert [entry.place[1] for entry in entries if entry.dead_letter] == [0, 2, 3]
    assert [entry.place[1] for entry in entries if entry.is_forgotten] == [1, 4]
    assert await reader.approximate_count() == 6
    repository.available = False
    with pytest.raises(Unavailable):
        [entry async for entry in reader.read()]

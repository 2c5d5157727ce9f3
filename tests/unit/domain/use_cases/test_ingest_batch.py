"""Batches of messages: what is stored, what is dead, and what a crash may cost (nothing)."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Unavailable
from orders.domain.intake import reading
from orders.domain.intake.json_scan import Scan, scan
from orders.domain.intake.messages import DeadLetter, Identity, Message, Origin, Unread
from orders.domain.intake.reading import MIN_ORDER_BYTES
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import SaveReport
from orders.domain.use_cases.ingest_batch import (
    DEAD_LETTER_CHUNK,
    DETAIL_MAX_LENGTH,
    IngestBatch,
    IngestReport,
)
from tests.contracts.order_repository import newest
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
CONFLICT = "another order with this order_uid is stored, with other content"


def document(uid: str, sm_id: int = 1) -> dict[str, Any]:
    return REFERENCE | {"order_uid": uid, "sm_id": sm_id}


def order(uid: str, sm_id: int = 1) -> Order:
    return the_order(read_document(document(uid, sm_id)))


def messages(*values: object) -> list[Message]:
    """Messages as a topic gives them out; bytes and None as they are, all else as JSON."""
    raw = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    return [
        Message(Origin("orders", 0, offset), value, b"key", 1700, (("trace", b"1"),))
        for offset, value in enumerate(raw)
    ]


class RefusingRepository(MemoryOrderRepository):
    """Has reasons of its own against orders whose uid begins with "refuse"."""

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        refused = {o.order_uid for o in orders if o.order_uid.startswith("refuse")}
        report = await super().save_many([o for o in orders if o.order_uid not in refused])
        rejected = dict.fromkeys(refused, "the store refuses it")
        return SaveReport(report.saved, report.unchanged, report.conflicts, rejected)


class BoundedDeadLetters(MemoryDeadLetters):
    """Has a limited time, in which no more than so many dead letters are confirmed."""

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        if len(dead_letters) > DEAD_LETTER_CHUNK:
            raise Unavailable("not all were confirmed in time")
        await super().put(dead_letters)


class Setting:
    def __init__(self, repository: MemoryOrderRepository | None = None) -> None:
        self.repository = repository or MemoryOrderRepository()
        self.dead_letters = MemoryDeadLetters()
        self.cache = MemoryCache(3)
        self.erasure = MemoryErasure(self.repository)
        self.ingest = IngestBatch(
            self.repository,
            self.dead_letters,
            self.cache,
            3,
            erasure=self.erasure,
            now=lambda: NOW,
        )

    async def take(self, *values: object) -> IngestReport:
        return await self.ingest.store(self.ingest.prepare(messages(*values)))

    async def stored(self) -> dict[str, bytes]:
        return {o.order_uid: o.document for o in await newest(self.repository, 1000)}

    @property
    def recorded(self) -> list[DeadLetter]:
        return self.dead_letters.dead_letters

    @property
    def summary(self) -> list[tuple[int, int, str, str]]:
        """Of each dead letter: offset, index, code, detail."""
        return [(x.message.origin.offset, x.index, x.code, x.detail) for x in self.recorded]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def report(
    n: int, saved: int = 0, unchanged: int = 0, dead: dict[Any, int] | None = None
) -> IngestReport:
    return IngestReport(n, saved, unchanged, dead or {})


class TestGoodOrders:
    async def test_objects_and_arrays_are_stored(self, setting: Setting) -> None:
        result = await setting.take(document("a"), [document("b"), document("c")], [])
        assert result == report(3, saved=3)
        assert await setting.stored() == {uid: encode(order(uid)) for uid in "abc"}
        assert setting.recorded == []

    async def test_nothing_at_all_is_no_trouble(self, setting: Setting) -> None:
        assert await setting.take() == report(0)
        assert await setting.take([], []) == report(2)

    async def test_stored_ones_are_in_the_cache(self, setting: Setting) -> None:
        await setting.take(document("a"), document("b"))
        assert await setting.cache.get(["a", "b"]) == await setting.stored()

    async def test_the_latest_of_many_are_in_the_cache(self, setting: Setting) -> None:
        await setting.take([document(uid) for uid in "abcdef"])
        assert set(await setting.cache.get(list("abcdef"))) == set("def")
        await setting.cache.put({"x": b"x"})
        assert set(await setting.cache.get(list("abcdef"))) == set("ef")

    @pytest.mark.parametrize(("behind", "put"), [(0, "bcd"), (2, "d"), (3, ""), (4, "")])
    async def test_what_later_ones_would_push_out_of_the_cache_does_not_go_there(
        self, setting: Setting, behind: int, put: str
    ) -> None:
        prepared = setting.ingest.prepare(messages(*map(document, "abcd")))
        await setting.ingest.store(prepared, lambda: behind)
        assert set(await setting.cache.get(list("abcd"))) == set(put)
        assert set(await setting.stored()) == set("abcd")

    async def test_without_a_cache_they_are_stored_all_the_same(self, setting: Setting) -> None:
        setting.cache.available = False
        assert await setting.take(document("a")) == report(1, saved=1)
        assert set(await setting.stored()) == {"a"}

    async def test_what_was_stored_before_does_not_push_others_out_of_the_cache(
        self, setting: Setting
    ) -> None:
        await setting.take(document("a"))
        await setting.cache.put({"x": b"x", "y": b"y", "z": b"z"})
        await setting.take(document("a"))
        assert set(await setting.cache.get(["a", "x", "y", "z"])) == {"x", "y", "z"}


class TestTheSameOrderAgain:
    async def test_in_another_batch_changes_nothing(self, setting: Setting) -> None:
        await setting.take(document("a"))
        before = await setting.stored()
        assert await setting.take(document("a")) == report(1, unchanged=1)
        assert await setting.stored() == before
        assert setting.recorded == []

    async def test_in_one_batch_and_in_one_message(self, setting: Setting) -> None:
        result = await setting.take(document("a"), [document("a"), document("a")], document("a"))
        assert result == report(3, saved=1, unchanged=3)
        assert setting.recorded == []

    async def test_in_other_bytes_is_the_same(self, setting: Setting) -> None:
        backwards = dict(reversed(document("a").items())) | {"unknown": 1}
        moment = document("a") | {"date_created": "2021-11-26T09:22:19.0+03:00"}
        spaced = json.dumps(document("a"), indent=4).encode()
        result = await setting.take(document("a"), backwards, moment, spaced)
        assert result == report(4, saved=1, unchanged=3)


class TestConflicts:
    async def test_the_stored_one_stays(self, setting: Setting) -> None:
        await setting.take(document("a", 1))
        result = await setting.take(document("a", 2))
        assert result == report(1, dead={"conflict": 1})
        assert await setting.stored() == {"a": encode(order("a", 1))}
        assert setting.summary == [(0, 0, "conflict", f"$: {CONFLICT}")]
        assert setting.recorded[0].value == json.dumps(document("a", 2)).encode()

    async def test_in_one_batch_the_first_one_stays(self, setting: Setting) -> None:
        result = await setting.take(document("a", 1), document("a", 2), document("a", 1))
        assert result == report(3, saved=1, unchanged=1, dead={"conflict": 1})
        assert await setting.stored() == {"a": encode(order("a", 1))}
        assert setting.summary == [(1, 0, "conflict", f"$: {CONFLICT}")]

    async def test_in_one_array_only_the_element_is_dead(self, setting: Setting) -> None:
        await setting.take([document("a", 1), document("b"), document("a", 2)])
        assert set(await setting.stored()) == {"a", "b"}
        assert setting.summary == [(0, 2, "conflict", f"$[2]: {CONFLICT}")]
        assert setting.recorded[0].value == json.dumps(document("a", 2)).encode()

    async def test_an_array_that_is_slow_to_split_is_split_once(
        self, setting: Setting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is parsed beside the event loop, and stored in it."""
        scanned = []

        def counting(data: bytes) -> Scan:
            scanned.append(data)
            return scan(data)

        monkeypatch.setattr(reading, "scan", counting)
        array = [document("a", 1), document("a", 2), {"no order": "\ud800"}]
        one = document("a", 3) | {"unknown": "\ud800"}
        await setting.take(array, one)
        codes = [(index, code) for _, index, code, _ in setting.summary]
        assert codes == [(2, "invalid"), (1, "conflict"), (0, "conflict")]
        values = [dead_letter.value for dead_letter in setting.recorded]
        assert values == [json.dumps(each).encode() for each in (array[2], array[1], one)]
        assert scanned.count(json.dumps(array).encode()) == 1
        assert scanned.count(json.dumps(one).encode()) <= 1

    async def test_each_is_held_against_the_stored_one_not_against_its_neighbour(
        self, setting: Setting
    ) -> None:
        await setting.take(document("a", 1))
        result = await setting.take(*(document("a", n) for n in (2, 1, 3, 2, 1)))
        assert result == report(5, unchanged=2, dead={"conflict": 3})
        assert [x.message.origin.offset for x in setting.recorded] == [0, 3, 2]

    async def test_many_of_one_uid_are_held_against_the_stored_one_together(
        self, setting: Setting
    ) -> None:
        """Else anybody could hold up the consumer: each would take a transaction."""
        await setting.take(document("a"))
        calls = []

        class Counting(MemoryOrderRepository):
            async def save_many(self, orders: Sequence[Order]) -> SaveReport:
                calls.append(len(orders))
                return await setting.repository.save_many(orders)

            async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
                calls.append(len(orders))
                return await setting.repository.are_stored(orders)

        setting.ingest._repository = Counting()
        versions = [document("a", 2 + n) for n in range(50)]
        found = await setting.take([*versions, document("a"), document("b"), *versions])
        assert found == report(1, saved=1, unchanged=1, dead={"conflict": 100})
        assert calls == [2, 99]

    async def test_every_element_of_a_large_array_keeps_its_own_bytes(
        self, setting: Setting
    ) -> None:
        await setting.take([document(str(n), 1) for n in range(1000)])
        await setting.take([document(str(n), 2) for n in range(1000)])
        values = [x.value for x in setting.recorded]
        assert values == [json.dumps(document(str(n), 2)).encode() for n in range(1000)]


class TestBadMessages:
    async def test_a_bad_neighbour_costs_the_good_ones_nothing(self, setting: Setting) -> None:
        bad = document("b") | {"sm_id": "x"}
        result = await setting.take([document("a"), bad, None, document("c")])
        assert result == report(1, saved=2, dead={"invalid": 2})
        assert set(await setting.stored()) == {"a", "c"}
        assert setting.summary == [
            (0, 1, "invalid", "$[1].sm_id: expected int, got str"),
            (0, 2, "invalid", "$[2]: expected object, got null"),
        ]
        assert [x.value for x in setting.recorded] == [json.dumps(bad).encode(), b"null"]

    async def test_an_array_of_bad_ones_moves_on(self, setting: Setting) -> None:
        assert await setting.take([1, 2]) == report(1, dead={"invalid": 2})

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (b"", "empty"),
            (None, "empty"),
            (b" null", "empty"),
            (b"{", "undecodable"),
            (b"1", "invalid"),
        ],
    )
    async def test_a_whole_message_is_dead_as_it_was_sent(
        self, setting: Setting, value: bytes | None, code: Any
    ) -> None:
        assert await setting.take(value, document("a")) == report(2, saved=1, dead={code: 1})
        (dead_letter,) = setting.recorded
        assert dead_letter.value == value
        assert dead_letter.message == messages(value)[0]
        assert (dead_letter.index, dead_letter.code, dead_letter.attempt) == (0, code, 1)
        assert dead_letter.failed_at == NOW
        assert dead_letter.identity == Identity(Origin("orders", 0, 0), 0)

    @pytest.mark.parametrize(
        ("amount", "more"), [(1, ""), (3, "; this stands for 3 messages, up to offset 9")]
    )
    async def test_what_could_not_be_read(self, setting: Setting, amount: int, more: str) -> None:
        unread = Unread("excessive", "must be smaller", amount)
        message = Message(Origin("orders", 0, 7), None, timestamp=1700, unread=unread)
        good = messages(document("good"))
        found = await setting.ingest.store(setting.ingest.prepare([message, *good]))
        assert found == report(2, saved=1, dead={"excessive": 1})
        assert setting.summary == [(7, 0, "excessive", f"$: must be smaller{more}")]
        assert (setting.recorded[0].value, setting.recorded[0].omitted) == (None, amount)

    @pytest.mark.parametrize(("elements", "dead"), [(20, {"invalid": 20}), (30, {"excessive": 1})])
    async def test_an_array_does_not_repeat_very_many_headers(
        self, setting: Setting, elements: int, dead: dict[Any, int]
    ) -> None:
        """Also empty ones take time and memory, in the dead letter of each element."""
        value = json.dumps(["x" * MIN_ORDER_BYTES] * elements).encode()
        message = Message(Origin("orders", 0, 7), value, headers=(("", b""),) * 10_000)
        found = await setting.ingest.store(setting.ingest.prepare([message]))
        assert found == report(1, dead=dead)

    async def test_however_many_they_are_they_get_through(self, setting: Setting) -> None:
        setting.dead_letters = BoundedDeadLetters()
        setting.ingest = IngestBatch(
            setting.repository, setting.dead_letters, setting.cache, 3, erasure=setting.erasure
        )
        amount = 2 * DEAD_LETTER_CHUNK + 1
        report = await setting.take([{"a": "x" * 128}] * amount, document("good"))
        assert report.dead == {"invalid": amount}
        assert [dead_letter.index for dead_letter in setting.recorded] == list(range(amount))

    async def test_all_faults_are_told_up_to_a_bound(self, setting: Setting) -> None:
        await setting.take(document("") | {"sm_id": None, "items": [None] * 1000})
        (dead_letter,) = setting.recorded
        assert dead_letter.detail.startswith(
            "$.order_uid: must be 1 to 255 characters and not blank; "
        )
        assert len(dead_letter.detail) == DETAIL_MAX_LENGTH
        assert dead_letter.detail.endswith("…")

    async def test_what_is_said_holds_no_value(self, setting: Setting) -> None:
        secret = "Test Testov +9720000000"
        bad = document("a") | {"entry": secret + "\0", "sm_id": secret, "track_number": secret * 99}
        await setting.take(bad, [document("b"), bad | {"delivery": {"phone": "0" + secret}}])
        assert len(setting.recorded) == 2
        assert all("Test" not in x.detail and "972" not in x.detail for x in setting.recorded)


class TestRejected:
    async def test_what_the_store_alone_refuses_is_dead_and_the_rest_is_stored(self) -> None:
        setting = Setting(RefusingRepository())
        result = await setting.take([document("a"), document("refused"), document("b")])
        assert result == report(1, saved=2, dead={"rejected": 1})
        assert setting.summary == [(0, 1, "rejected", "$[1]: the store refuses it")]
        assert setting.recorded[0].value == json.dumps(document("refused")).encode()

    async def test_each_of_one_uid_is_tried(self) -> None:
        setting = Setting(RefusingRepository())
        result = await setting.take(*(document("refused", n) for n in (1, 2, 1)))
        assert result == report(3, dead={"rejected": 3})
        assert sorted(x.message.origin.offset for x in setting.recorded) == [0, 1, 2]


class TestTrouble:
    async def test_with_the_store_away_nothing_is_done(self, setting: Setting) -> None:
        prepared = setting.ingest.prepare(messages(document("a"), b"{"))
        setting.repository.available = False
        with pytest.raises(Unavailable):
            await setting.ingest.store(prepared)
        assert setting.recorded == []
        setting.repository.available = True
        assert await setting.ingest.store(prepared) == report(2, saved=1, dead={"undecodable": 1})

    async def test_with_the_dead_letters_away_it_raises_and_loses_nothing(
        self, setting: Setting
    ) -> None:
        await setting.take(document("a", 1))
        batch = messages(document("a", 2), document("b"), b"{", document("b", 2))
        prepared = setting.ingest.prepare(batch)
        setting.dead_letters.available = False
        for _ in range(2):
            with pytest.raises(Unavailable):
                await setting.ingest.store(prepared)
        setting.dead_letters.available = True
        result = await setting.ingest.store(prepared)
        assert result == report(4, unchanged=1, dead={"undecodable": 1, "conflict": 2})
        assert await setting.stored() == {"a": encode(order("a", 1)), "b": encode(order("b"))}
        assert {(x.message.origin.offset, x.code) for x in setting.recorded} == {
            (0, "conflict"),
            (2, "undecodable"),
            (3, "conflict"),
        }

    async def test_good_orders_do_not_need_the_dead_letters(self, setting: Setting) -> None:
        setting.dead_letters.available = False
        assert await setting.take(document("a")) == report(1, saved=1)


UIDS = st.sampled_from(["a", "b", "refuse", "c"])
PARTS = st.builds(document, UIDS, st.integers(1, 2)) | st.sampled_from([None, 1, {"a": 1}])
VALUES = PARTS | st.lists(PARTS, max_size=4) | st.sampled_from([b"", b"{", None])


@given(st.lists(st.lists(VALUES, max_size=4), max_size=4), st.booleans())
async def test_every_order_is_stored_or_dead_whatever_comes(
    batches: list[list[object]], again: bool
) -> None:
    """The first of each uid that the store takes is stored, for good; the books balance."""
    setting = Setting(RefusingRepository())
    expected: dict[str, int] = {}
    offset = 0
    for values in batches:
        batch = [
            Message(Origin("orders", 0, offset + n), m.value)
            for n, m in enumerate(messages(*values))
        ]
        offset += len(batch)
        good = saved = dead = 0
        for value in values:
            parts = value if isinstance(value, list) else [value]
            for part in parts:
                if not isinstance(part, dict) or "order_uid" not in part:
                    dead += 1
                    continue
                uid, content = part["order_uid"], part["sm_id"]
                good += 1
                saved += uid != "refuse" and uid not in expected
                if uid != "refuse":
                    expected.setdefault(uid, content)
                dead += uid == "refuse" or expected[uid] != content
        result = await setting.ingest.store(setting.ingest.prepare(batch))
        assert result.saved == saved
        assert sum(result.dead.values()) == dead
        elements = sum(len(v) if isinstance(v, list) else 1 for v in values)
        assert result.saved + result.unchanged + dead == elements
        if again:
            dead_letters = setting.recorded
            result = await setting.ingest.store(setting.ingest.prepare(batch))
            assert result.saved == 0
            assert [x.identity for x in setting.recorded] == [x.identity for x in dead_letters]
    assert await setting.stored() == {
        uid: encode(order(uid, content)) for uid, content in expected.items()
    }


class TestAttempts:
    async def test_a_message_that_had_failed_before_counts_on(self, setting: Setting) -> None:
        await setting.ingest.store(setting.ingest.prepare([sent_again(b"[1, 2]", b"2")]))
        assert [x.attempt for x in setting.recorded] == [3, 3]

    async def test_so_does_what_the_store_refuses(self, setting: Setting) -> None:
        await setting.take(document("a", 1))
        conflict = sent_again(json.dumps(document("a", 2)).encode(), b"1")
        await setting.ingest.store(setting.ingest.prepare([conflict]))
        assert [(x.code, x.attempt) for x in setting.recorded] == [("conflict", 2)]

    @pytest.mark.parametrize("told", [b"0", b"many", b"-1", b"", b"1" * 40])
    async def test_what_is_no_number_counts_as_nothing(self, setting: Setting, told: bytes) -> None:
        await setting.ingest.store(setting.ingest.prepare([sent_again(b"{", told)]))
        assert [x.attempt for x in setting.recorded] == [1]


def sent_again(value: bytes, failures: bytes) -> Message:
    headers = (("orders-attempt", failures), ("orders-replay-of", b"orders/0:7:0"))
    return Message(Origin("orders", 0, 99), value, headers=headers)

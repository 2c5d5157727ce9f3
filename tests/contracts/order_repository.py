"""What every order repository keeps to.

Subclasses give the fixtures ``repository`` (empty) and ``reopened`` (another on the same store).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from orders.domain.errors import Invalid
from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.queries import Cursor, OrderQuery, View
from orders.domain.order.summary import encode_summary
from orders.domain.ports import OrderRepository, SaveReport
from tests.strategies import batches

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)

AWKWARD_TEXTS = (
    "",
    " ",
    "\x01\x02\x1f\x7f\x80\x9f",
    "\b\f\n\r\t\v",
    'a "quoted" \\ backslash \\N \\. /',
    "заказ 訂單 ﷺ e\u0301 \u2028\u2029\ufeff\uffff",
    "👩‍👩‍👧‍👦\U0010ffff",
    "null",
    "%s $1 {}",
    "</script>&amp;",
    "x" * 100_000,
)


def order_of(uid: str, created: datetime = NOON, count: int = 1, **changes: object) -> Order:
    """A plausible order of ``count`` items."""
    order = Order(
        order_uid=uid,
        track_number="TRACK",
        entry="WBIL",
        delivery=Delivery("Test", "+972", "263", "Kiryat", "Ploshad 15", "Kraiot", "t@example.com"),
        payment=Payment("t", "", "USD", "wbpay", 1817, 1637907727, "alpha", 1500, 317, 0),
        items=tuple(
            Item(n, "TRACK", 453, "rid", "Mascaras", 30, "0", 317, 2389212, "Vivienne", 202)
            for n in range(count)
        ),
        locale="en",
        internal_signature="",
        customer_id="test",
        delivery_service="meest",
        shardkey="9",
        sm_id=99,
        date_created=created,
        oof_shard="1",
    )
    return msgspec.structs.replace(order, **changes)


def with_amount(order: Order, amount: int) -> Order:
    payment = msgspec.structs.replace(order.payment, amount=amount)
    return msgspec.structs.replace(order, payment=payment)


def numbered(count: int, prefix: str = "uid") -> list[Order]:
    return [order_of(f"{prefix}-{n:04}", NOON + timedelta(seconds=n)) for n in range(count)]


def report(
    saved: Iterable[str] = (), unchanged: Iterable[str] = (), conflicts: Iterable[str] = ()
) -> SaveReport:
    return SaveReport(frozenset(saved), frozenset(unchanged), frozenset(conflicts))


def uids(orders: Iterable[Order | StoredOrder]) -> list[str]:
    return [order.order_uid for order in orders]


def newest_first(orders: Iterable[Order]) -> list[Order]:
    key = [(order.date_created, order.order_uid.encode(), order) for order in orders]
    return [order for *_, order in sorted(key, key=lambda row: row[:2], reverse=True)]


def check_any_orders(
    open_repository: Callable[[], AbstractAsyncContextManager[OrderRepository]],
) -> None:
    """Property: whatever is valid comes out as ``encode`` writes it, and the first one stays."""
    first: dict[str, bytes] = {}

    async def check(repository: OrderRepository, batch: list[Order]) -> None:
        documents = {order.order_uid: encode(order) for order in batch}
        assert await repository.save_many(batch) == report(
            documents.keys() - first.keys(),
            {uid for uid, document in documents.items() if first.get(uid) == document},
            {uid for uid, document in documents.items() if first.get(uid, document) != document},
        )
        for uid, document in documents.items():
            first.setdefault(uid, document)
        expected = {uid: first[uid] for uid in documents}
        assert await repository.get(list(documents)) == expected
        for order in batch:
            (stored,) = (await repository.page(OrderQuery(order_uid=order.order_uid), 1)).orders
            assert stored.document == expected[order.order_uid]
            assert msgspec.json.decode(stored.document, type=Order).date_created == (
                stored.date_created
            )

    with asyncio.Runner() as runner:
        opened = open_repository()
        repository = runner.run(_entered(opened))
        try:

            @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
            @given(batches())
            def check_one(batch: list[Order]) -> None:
                runner.run(check(repository, batch))

            check_one()
        finally:
            runner.run(_left(opened))


async def _entered(opened: AbstractAsyncContextManager[OrderRepository]) -> OrderRepository:
    return await opened.__aenter__()


async def _left(opened: AbstractAsyncContextManager[OrderRepository]) -> None:
    await opened.__aexit__(None, None, None)


async def walk(
    repository: OrderRepository, query: OrderQuery, limit: int
) -> list[list[StoredOrder]]:
    """All pages."""
    pages: list[list[StoredOrder]] = []
    after: Cursor | None = None
    while True:
        page = await repository.page(query, limit, after)
        pages.append(list(page.orders))
        if page.next is None:
            return pages
        after = page.next


async def newest(repository: OrderRepository, amount: int) -> list[StoredOrder]:
    return list((await repository.page(OrderQuery(), amount)).orders)


async def assert_holds(repository: OrderRepository, orders: Sequence[Order]) -> None:
    """Exactly these are stored, whole, and come out as ``encode`` writes them, whichever way."""
    assert await repository.get(uids(orders)) == {o.order_uid: encode(o) for o in orders}
    expected = [StoredOrder.of(order) for order in newest_first(orders)]
    assert await newest(repository, len(orders) + 1) == expected
    assert [o for page in await walk(repository, OrderQuery(), 7) for o in page] == expected


class OrderRepositoryContract:
    async def test_nothing_is_there_at_first(self, repository: OrderRepository) -> None:
        await assert_holds(repository, [])
        assert await repository.get(["any"]) == {}
        assert await repository.get([]) == {}
        assert await repository.save_many([]) == report()

    async def test_a_batch_comes_out_as_it_went_in(self, repository: OrderRepository) -> None:
        batch = numbered(30)
        assert await repository.save_many(batch) == report(saved=uids(batch))
        await assert_holds(repository, batch)

    async def test_saving_again_changes_nothing(self, repository: OrderRepository) -> None:
        batch = numbered(5)
        await repository.save_many(batch)
        for again in (batch, batch[::-1], batch[2:3]):
            assert await repository.save_many(again) == report(unchanged=uids(again))
        await assert_holds(repository, batch)

    async def test_the_stored_one_stays_in_a_conflict(self, repository: OrderRepository) -> None:
        first, second = numbered(2)
        await repository.save_many([first])
        other = with_amount(first, 1)
        assert await repository.save_many([other, second]) == report(
            saved=[second.order_uid], conflicts=[first.order_uid]
        )
        assert await repository.save_many([other]) == report(conflicts=[first.order_uid])
        await assert_holds(repository, [first, second])

    @pytest.mark.parametrize("items", [1, 63, 64, 65, 66, 500])
    async def test_large_ones_are_compared_to_the_last_letter(
        self, repository: OrderRepository, items: int
    ) -> None:
        empty = Item(0, "", 0, "", "", 0, "", 0, 0, "", 0)
        plain = order_of("a", items=(empty,) * items)
        long = order_of("b", items=(empty,) * items, entry="ж" * 9_000)
        await repository.save_many([plain, long])
        assert await repository.save_many([plain, long]) == report(unchanged=["a", "b"])
        for changes in ({"entry": "ж" * 8_999 + "x"}, {"items": (empty,) * (items + 1)}):
            other = msgspec.structs.replace(long, **changes)
            assert await repository.save_many([plain, other]) == report(
                unchanged=["a"], conflicts=["b"]
            )

    async def test_versions_of_an_order_are_compared_together(
        self, repository: OrderRepository
    ) -> None:
        small, large = order_of("a"), order_of("b", count=200)
        await repository.save_many([small, large])
        bad = order_of("nul\0")
        others = [with_amount(one, 1) for one in (small, large)]
        longer = msgspec.structs.replace(large, entry="x" * 10_000)
        assert await repository.are_stored(
            [others[0], small, large, order_of("c"), bad, others[1], large, longer]
        ) == [False, True, True, None, None, False, True, False]
        assert await repository.are_stored([]) == []

    async def test_each_field_makes_a_conflict(self, repository: OrderRepository) -> None:
        order = order_of("uid", count=2)
        await repository.save_many([order])
        replace = msgspec.structs.replace
        first, second = order.items
        others = [
            replace(order, oof_shard="2"),
            replace(order, sm_id=100),
            replace(order, date_created=NOON + timedelta(microseconds=1)),
            replace(order, delivery=replace(order.delivery, email="")),
            replace(order, payment=replace(order.payment, custom_fee=1)),
            replace(order, items=(second, first)),
            replace(order, items=(first,)),
            replace(order, items=(first, second, second)),
            replace(order, items=(first, replace(second, status=0))),
        ]
        for other in others:
            assert await repository.save_many([other]) == report(conflicts=["uid"])
        await assert_holds(repository, [order])

    async def test_new_unchanged_and_conflicting_ones_in_one_batch(
        self, repository: OrderRepository
    ) -> None:
        batch = numbered(9)
        await repository.save_many(batch[::3])
        changed = [with_amount(order, 2) if n % 6 == 3 else order for n, order in enumerate(batch)]
        conflicts, known = uids(batch[3::6]), uids(batch[::6])
        new = set(uids(batch)) - {*conflicts, *known}
        assert await repository.save_many(changed) == report(new, known, conflicts)
        await assert_holds(repository, batch)

    async def test_an_order_uid_that_stands_twice_is_a_mistake_of_the_caller(
        self, repository: OrderRepository
    ) -> None:
        order = order_of("uid")
        with pytest.raises(ValueError, match="twice"):
            await repository.save_many([order, order_of("other"), order])
        await assert_holds(repository, [])

    async def test_redelivery_followed_by_new_orders(self, repository: OrderRepository) -> None:
        old, new, newer = (numbered(20, prefix) for prefix in ("a", "b", "c"))
        await repository.save_many(old)
        assert await repository.save_many(old) == report(unchanged=uids(old))
        assert await repository.save_many(new) == report(saved=uids(new))
        assert await repository.save_many(newer) == report(saved=uids(newer))
        await assert_holds(repository, old + new + newer)

    async def test_racing_writers_of_overlapping_batches(self, repository: OrderRepository) -> None:
        batch = numbered(60)
        shares = [batch[start : start + 30] for start in range(0, 31, 6)]
        reports = await asyncio.gather(*map(repository.save_many, [*shares, shares[0][::-1]]))
        for share, result in zip([*shares, shares[0]], reports, strict=True):
            assert result.saved | result.unchanged == set(uids(share))
        saved = [uid for result in reports for uid in result.saved]
        assert sorted(saved) == uids(batch)
        await assert_holds(repository, batch)

    async def test_racing_writers_of_different_contents(self, repository: OrderRepository) -> None:
        batch = numbered(20)
        versions = [[with_amount(order, n) for order in batch] for n in range(4)]
        reports = await asyncio.gather(*map(repository.save_many, versions))
        winners = {
            uid: n for n, result in enumerate(reports) for uid in result.saved
        }  # uid -> whose content
        assert sorted(winners) == uids(batch)
        for n, result in enumerate(reports):
            lost = {uid for uid, winner in winners.items() if winner != n}
            assert result.conflicts == lost
            assert not result.unchanged
        await assert_holds(repository, [with_amount(o, winners[o.order_uid]) for o in batch])

    @pytest.mark.parametrize(
        "broken",
        [
            {"entry": "a\0b"},
            {"entry": "\ud800"},
            {"order_uid": "a\0b"},
            {"order_uid": "a\udfff"},
            {"sm_id": 2**63},
            {"sm_id": -(2**63) - 1},
            {"sm_id": 2**64},
            {"sm_id": 2**200},
            {"delivery": msgspec.structs.replace(order_of("").delivery, email="\0")},
            {"payment": msgspec.structs.replace(order_of("").payment, amount=2**63)},
            {"items": (msgspec.structs.replace(order_of("").items[0], brand="\ud83d"),)},
        ],
        ids=str,
    )
    async def test_what_cannot_be_stored_is_refused_alone(
        self, repository: OrderRepository, broken: dict[str, object]
    ) -> None:
        good = numbered(10)
        bad = msgspec.structs.replace(order_of("uid-0004x"), **broken)
        result = await repository.save_many([*good[:5], bad, *good[5:]])
        assert result.saved == set(uids(good))
        assert set(result.rejected) == {bad.order_uid}
        assert not result.unchanged | result.conflicts
        reason = result.rejected[bad.order_uid]
        assert reason
        assert "Ploshad" not in reason
        assert "\0" not in reason
        await assert_holds(repository, good)
        again = await repository.save_many([bad, *good])
        assert again.unchanged == set(uids(good))
        assert set(again.rejected) == {bad.order_uid}

    async def test_all_refused(self, repository: OrderRepository) -> None:
        batch = [order_of(f"uid-{n}", entry="\0") for n in range(5)]
        result = await repository.save_many(batch)
        assert set(result.rejected) == set(uids(batch))
        assert not result.saved
        await assert_holds(repository, [])

    async def test_an_unstorable_one_whose_uid_is_known_is_a_conflict(
        self, repository: OrderRepository
    ) -> None:
        order = order_of("uid")
        await repository.save_many([order])
        for text in ("\0", "\ud800"):
            other = msgspec.structs.replace(order, entry=text)
            assert await repository.save_many([other]) == report(conflicts=["uid"])

    async def test_what_cannot_be_stored_is_not_found(self, repository: OrderRepository) -> None:
        order = order_of("a")
        await repository.save_many([order])
        assert await repository.get(["a\0", "\ud800", "a"]) == {"a": encode(order)}
        assert await repository.get(["a\0"]) == {}
        for text in ("a\0", "\udfff"):
            for query in (
                OrderQuery(order_uid=text),
                OrderQuery(customer_id=text),
                OrderQuery(track_number=text),
            ):
                page = await repository.page(query, 5)
                assert (page.orders, page.next) == ((), None)
            with pytest.raises(Invalid):
                await repository.page(OrderQuery(), 5, Cursor(NOON, text))

    async def test_any_text(self, repository: OrderRepository) -> None:
        orders = [
            order_of(
                f"uid-{n}",
                entry=text,
                delivery=Delivery(*[text] * len(Delivery.__struct_fields__)),
                payment=msgspec.structs.replace(order_of("").payment, bank=text),
                items=(msgspec.structs.replace(order_of("").items[0], name=text, size=text),),
            )
            for n, text in enumerate(AWKWARD_TEXTS)
        ]
        orders += [order_of(text[:255], customer_id=text[:255]) for text in AWKWARD_TEXTS if text]
        assert (await repository.save_many(orders)).saved == set(uids(orders))
        await assert_holds(repository, orders)
        for order in orders:
            found = await repository.page(OrderQuery(order_uid=order.order_uid), 5)
            assert uids(found.orders) == [order.order_uid]

    async def test_longest_identifiers(self, repository: OrderRepository) -> None:
        # Random characters of four bytes each, which no compression makes shorter.
        text = "".join(chr(0x10000 + (n * 7919) % 0xFFFFF) for n in range(254))
        orders = [order_of(text + str(n), customer_id=text, track_number=text) for n in range(2)]
        assert await repository.save_many(orders) == report(saved=uids(orders))
        await assert_holds(repository, orders)

    @pytest.mark.parametrize(
        "moment",
        [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(1582, 10, 10, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2000, 1, 1, 0, 0, 0, 100_000, tzinfo=UTC),
            datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ],
        ids=str,
    )
    async def test_any_instant(self, repository: OrderRepository, moment: datetime) -> None:
        order = order_of("uid", moment)
        await repository.save_many([order])
        await assert_holds(repository, [order])
        (stored,) = await newest(repository, 1)
        assert stored.date_created.tzinfo is UTC
        page = await repository.page(OrderQuery(created_from=moment), 1)
        assert uids(page.orders) == ["uid"]
        assert (await repository.page(OrderQuery(created_to=moment), 1)).orders == ()
        assert (await repository.page(OrderQuery(), 1, Cursor(moment, "uid"))).orders == ()
        assert uids((await repository.page(OrderQuery(), 1, Cursor(moment, "uie"))).orders)

    async def test_items_none_equal_and_many(self, repository: OrderRepository) -> None:
        item = order_of("").items[0]
        orders = [
            order_of("none", count=0),
            msgspec.structs.replace(order_of("equal"), items=(item, item, item)),
            order_of("many", count=200),
        ]
        assert await repository.save_many(orders) == report(saved=uids(orders))
        await assert_holds(repository, orders)
        assert await repository.save_many(orders) == report(unchanged=uids(orders))

    async def test_extreme_integers(self, repository: OrderRepository) -> None:
        order = order_of("uid", sm_id=-(2**63))
        order = with_amount(order, 2**63 - 1)
        await repository.save_many([order])
        await assert_holds(repository, [order])

    async def test_newest_first_and_ties_by_bytes(self, repository: OrderRepository) -> None:
        # U+FFFF is before U+10000 by bytes and code points, not by UTF-16 units or by a language.
        ties = ["B", "a", "b", "Z", "é", "z", "\uffff", "\U00010000", "-", "_", "10", "9"]
        orders = [order_of(uid) for uid in ties]
        orders += [order_of("older", NOON - timedelta(microseconds=1)), order_of("x" * 99, NOON)]
        await repository.save_many(orders)
        expected = uids(newest_first(orders))
        assert uids(await newest(repository, 50)) == expected
        assert uids(await newest(repository, 3)) == expected[:3]
        for limit in (1, 2, 5, len(orders)):
            pages = await walk(repository, OrderQuery(), limit)
            assert [order.order_uid for page in pages for order in page] == expected
            assert {len(page) for page in pages[:-1]} <= {limit}
            assert pages[-1]

    async def test_paging_is_stable_under_inserts(self, repository: OrderRepository) -> None:
        old = numbered(20)
        await repository.save_many(old)
        page = await repository.page(OrderQuery(), 8)
        seen = uids(page.orders)
        newer = [order_of(f"new-{n}", NOON + timedelta(hours=n + 1)) for n in range(5)]
        tie = order_of(f"{seen[-1]}~", page.orders[-1].date_created)  # sorts just before the last
        await repository.save_many([*newer, tie])
        while page.next:
            page = await repository.page(OrderQuery(), 8, page.next)
            seen += uids(page.orders)
        assert seen == uids(newest_first(old))

    async def test_filters(self, repository: OrderRepository) -> None:
        orders = [
            order_of(
                f"uid-{n:02}",
                NOON + timedelta(minutes=n // 2),
                customer_id=f"customer-{n % 3}",
                track_number=f"track-{n % 5}",
            )
            for n in range(30)
        ]
        await repository.save_many(orders)
        moscow = timezone(timedelta(hours=3))
        queries = {
            OrderQuery(): lambda o: True,
            OrderQuery(order_uid="uid-07"): lambda o: o.order_uid == "uid-07",
            OrderQuery(order_uid="uid-7"): lambda o: False,
            OrderQuery(customer_id="customer-1"): lambda o: o.customer_id == "customer-1",
            OrderQuery(customer_id="CUSTOMER-1"): lambda o: False,
            OrderQuery(track_number="track-4"): lambda o: o.track_number == "track-4",
            OrderQuery(created_from=NOON + timedelta(minutes=4)): lambda o: (
                o.date_created >= NOON + timedelta(minutes=4)
            ),
            OrderQuery(created_to=NOON.astimezone(moscow) + timedelta(minutes=4)): lambda o: (
                o.date_created < NOON + timedelta(minutes=4)
            ),
            OrderQuery(created_from=NOON, created_to=NOON): lambda o: False,
            OrderQuery(
                customer_id="customer-0",
                track_number="track-0",
                created_from=NOON + timedelta(minutes=1),
                created_to=NOON + timedelta(minutes=9),
            ): lambda o: (
                o.customer_id == "customer-0"
                and o.track_number == "track-0"
                and NOON + timedelta(minutes=1) <= o.date_created < NOON + timedelta(minutes=9)
            ),
            OrderQuery(order_uid="uid-03", customer_id="customer-1"): lambda o: False,
        }
        for query, meets in queries.items():
            expected = uids(newest_first(filter(meets, orders)))
            for limit in (2, 100):
                pages = await walk(repository, query, limit)
                assert [order.order_uid for page in pages for order in page] == expected

    async def test_summaries_are_those_of_the_orders_and_page_alike(
        self, repository: OrderRepository
    ) -> None:
        orders = [
            order_of(
                f"uid-{n}", NOON + timedelta(seconds=n // 2), count=n, customer_id=f"c-{n % 2}"
            )
            for n in range(6)
        ]
        odd = order_of(
            '"\\ заказ 😀', NOON + timedelta(microseconds=1), count=0, track_number="< >"
        )
        await repository.save_many([*orders, with_amount(odd, 2**63 - 1)])
        stored = newest_first([*orders, with_amount(odd, 2**63 - 1)])
        for customer_id in (None, "c-1"):
            query = OrderQuery(customer_id=customer_id, view=View.SUMMARY)
            expected = [
                StoredOrder(o.order_uid, o.date_created, encode_summary(o))
                for o in stored
                if customer_id in {None, o.customer_id}
            ]
            for limit in (2, 100):
                pages = await walk(repository, query, limit)
                assert [line for page in pages for line in page] == expected

    async def test_a_cursor_and_created_to_both_hold(self, repository: OrderRepository) -> None:
        orders = [
            order_of(f"uid-{n:02}", NOON + timedelta(minutes=n // 2), customer_id=f"c-{n % 2}")
            for n in range(12)
        ]
        await repository.save_many(orders)
        for customer_id in (None, "c-1"):
            mine = [o for o in newest_first(orders) if customer_id in {None, o.customer_id}]
            for minute in range(8):
                created_to = NOON + timedelta(minutes=minute)
                query = OrderQuery(customer_id=customer_id, created_to=created_to)
                for last in orders:
                    after = Cursor(last.date_created, last.order_uid)
                    place = after.date_created, after.order_uid
                    page = await repository.page(query, 100, after)
                    assert uids(page.orders) == [
                        o.order_uid
                        for o in mine
                        if o.date_created < created_to and (o.date_created, o.order_uid) < place
                    ]

    async def test_bounds_outside_of_the_years_of_utc(self, repository: OrderRepository) -> None:
        first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
        orders = [order_of("first", first), order_of("last", last)]
        await repository.save_many(orders)
        before = first.replace(tzinfo=timezone(timedelta(hours=14)))  # in UTC: the year 1 BC
        beyond = last.replace(tzinfo=timezone(timedelta(hours=-12)))  # in UTC: the year 10000
        assert uids((await repository.page(OrderQuery(created_from=before), 9)).orders) == [
            "last",
            "first",
        ]
        assert uids((await repository.page(OrderQuery(created_to=beyond), 9)).orders) == [
            "last",
            "first",
        ]
        assert (await repository.page(OrderQuery(created_to=before), 9)).orders == ()
        cursor = Cursor(last, "last")
        assert (await repository.page(OrderQuery(created_to=before), 9, cursor)).orders == ()
        page = await repository.page(OrderQuery(created_to=beyond), 9, cursor)
        assert uids(page.orders) == ["first"]
        assert (await repository.page(OrderQuery(created_from=beyond), 9)).orders == ()

    async def test_after_a_restart(
        self, repository: OrderRepository, reopened: OrderRepository
    ) -> None:
        batch = numbered(10)
        await repository.save_many(batch)
        await assert_holds(reopened, batch)
        assert await reopened.save_many(batch) == report(unchanged=uids(batch))

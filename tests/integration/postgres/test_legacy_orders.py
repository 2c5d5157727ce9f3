"""Orders are read from the tables of the old service, compared, and nothing is invented."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orders.adapters.postgres import legacy_orders
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.legacy_orders import open_legacy_orders
from orders.adapters.postgres.order_census import PostgresOrderCensus
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.errors import Invalid, Unavailable
from orders.domain.use_cases.compare_orders import Compared, CompareOrders
from orders.domain.use_cases.import_orders import (
    ImportOrders,
    ImportReport,
    RefusedOrder,
    StoreDirectly,
)
from tests.integration import old_service
from tests.integration.postgres import roles


@pytest.fixture(params=["UTF8", "WIN1251", "SQL_ASCII"])
def any_old_dsn(request: pytest.FixtureRequest, postgres_dsn: str) -> Iterator[str]:
    """The old tables in a database of this encoding."""
    with roles.database(postgres_dsn, request.param) as dsn:
        old_service.make_tables(dsn)
        yield dsn


@pytest.fixture
def old_dsn(empty_database_dsn: str) -> str:
    """The old tables, in UTF-8."""
    old_service.make_tables(empty_database_dsn)
    return empty_database_dsn


async def imported(
    dsn: str,
    repository: PostgresOrderRepository,
    on_refused: Callable[[Sequence[RefusedOrder]], None] = lambda _: None,
) -> ImportReport:
    async with open_legacy_orders(dsn) as old:
        return await ImportOrders(StoreDirectly(repository))(old, on_refused=on_refused)


async def compared(dsn: str, database: PostgresDatabase, sample: int | None = None) -> Compared:
    compare = CompareOrders(PostgresOrderCensus(database), PostgresErasure(database))
    async with open_legacy_orders(dsn) as old:
        return await compare(old, sample=sample)


async def documents(dsn: str) -> list[dict[str, object]]:
    async with open_legacy_orders(dsn) as old:
        batches = [batch async for batch in old.batches()]
    return [json.loads(entry.content) for batch in batches for entry in batch]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "chunks"),
    [("", [2_500]), ("CREATE INDEX ON items (order_uid)", [1_000, 1_000, 500])],
    ids=["each chunk scans all items", "indexed"],
)
async def test_every_order_once_with_its_items_in_their_order(
    old_dsn: str, index: str, chunks: list[int]
) -> None:
    old_service.execute(old_dsn, index)
    old_service.fill(old_dsn, 1, 2_500, items=3)
    found = await documents(old_dsn)
    assert [order["order_uid"] for order in found] == [f"old-{n:07}" for n in range(1, 2_501)]
    assert {tuple(item["chrt_id"] for item in order["items"]) for order in found} == {(3, 2, 1)}  # type: ignore[attr-defined]
    assert found[0]["oof_shard"] == "ok"
    async with open_legacy_orders(old_dsn) as old:
        for sample in (None, 2_500):
            assert [len(uids) async for uids in old.uids(sample, 0)] == chunks


@pytest.mark.parametrize(
    "index", ["", "CREATE INDEX ON items (order_uid)"], ids=["each scans all items", "indexed"]
)
async def test_no_more_than_some_megabytes_are_read_at_once(
    old_dsn: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of the largest orders would be a gigabyte, here and in the server."""
    read: list[int] = []

    async def counted(*arguments: Any) -> list[Any]:
        rows = await fetch(*arguments)
        read.append(sum(len(value) for row in rows for value in row if isinstance(value, bytes)))
        return rows

    fetch = legacy_orders._fetch
    monkeypatch.setattr(legacy_orders, "_fetch", counted)
    old_service.execute(old_dsn, index)
    old_service.fill(old_dsn, 1, 200)
    old_service.lengthen(old_dsn, 800_000, "order_uid <= 'old-0000020'")
    old_service.execute(
        old_dsn,
        "ALTER TABLE items ALTER brand TYPE text;"
        " UPDATE items SET brand = repeat('x', 800000) WHERE order_uid > 'old-0000180'",
    )
    assert len(await documents(old_dsn)) == 200
    assert sum(read) > 48_000_000
    assert max(read) <= 16 * 2**20


async def test_an_order_that_is_larger_is_read_alone(old_dsn: str) -> None:
    old_service.fill(old_dsn, 1, 5)
    old_service.lengthen(old_dsn, 17_000_000, "order_uid LIKE '%3'")
    async with open_legacy_orders(old_dsn) as old:
        sizes = [len(batch) async for batch in old.batches()]
    assert sizes == [2, 1, 2]


async def test_chunks_follow_each_other_by_the_collation_of_the_column(old_dsn: str) -> None:
    """The server refuses to compare by two collations, and none but C and POSIX is everywhere."""
    old_service.execute(old_dsn, 'ALTER TABLE orders ALTER order_uid TYPE text COLLATE "POSIX"')
    old_service.fill(old_dsn, 1, 2)
    assert len(await documents(old_dsn)) == 2
    async with open_legacy_orders(old_dsn) as old:
        assert [uids async for uids in old.uids(None, 0)] == [["old-0000001", "old-0000002"]]
        assert await old.known(["old-0000001", "none"]) == {"old-0000001"}


async def test_what_is_valid_is_stored_and_the_rest_refused(
    old_dsn: str, order_repository: PostgresOrderRepository, database: PostgresDatabase
) -> None:
    old_service.fill(old_dsn, 1, 9)
    old_service.execute(
        old_dsn,
        """
        DELETE FROM delivery WHERE order_uid = 'old-0000001';
        DELETE FROM payments WHERE order_uid = 'old-0000002';
        DELETE FROM items WHERE order_uid = 'old-0000003';
        UPDATE delivery SET phone = '0123' WHERE order_uid = 'old-0000004';
        UPDATE orders SET date_created = 'infinity' WHERE order_uid = 'old-0000005';
        UPDATE orders SET sm_id = NULL WHERE order_uid = 'old-0000006';
        UPDATE items SET name = 'Помада 💄' WHERE order_uid = 'old-0000007';
        """,
    )
    refused: list[RefusedOrder] = []
    report = await imported(old_dsn, order_repository, refused.extend)
    assert (report.stored, report.refused) == (4, {"invalid": 5})
    assert [(one.position, one.reason.partition(":")[0]) for one in refused] == [
        ("order_uid old-0000001", "$.delivery"),
        ("order_uid old-0000002", "$.payment"),
        ("order_uid old-0000004", "$.delivery.phone"),
        ("order_uid old-0000005", "$.date_created"),
        ("order_uid old-0000006", "$.sm_id"),
    ]
    stored = (await order_repository.get(["old-0000007"]))["old-0000007"].decode()
    assert "Помада 💄" in stored
    assert '"request_id":"","' in stored
    assert '"date_created":"2021-11-26T06:29:19.250000Z"' in stored
    assert (await imported(old_dsn, order_repository)).unchanged == 4

    result = await compared(old_dsn, database)
    assert (result.equal, result.old.incomplete, result.invalid) == (4, 2, 3)
    assert result.is_equal
    old_service.execute(old_dsn, "UPDATE items SET brand = 'x' WHERE order_uid = 'old-0000008'")
    old_service.fill(old_dsn, 10, 11)
    for sample in (None, 1_000):
        result = await compared(old_dsn, database, sample)
        assert not result.is_equal
        assert result.fields == {"items[].brand": 1}
        assert (
            result.uids
            == {
                "different": ["old-0000008"],
                "only in the old database": ["old-0000010", "old-0000011"],
            }
            or sample
        )
    assert sum(result.old.days.values()) == 9
    assert sum(result.new.days.values()) == 4


async def test_a_sample_is_equal_beside_orders_stored_in_part_or_forgotten(
    old_dsn: str, order_repository: PostgresOrderRepository, database: PostgresDatabase
) -> None:
    old_service.fill(old_dsn, 1, 30)
    old_service.execute(
        old_dsn,
        "DELETE FROM delivery WHERE order_uid LIKE '%1'; DELETE FROM payments WHERE order_uid LIKE"
        " '%2'",
    )
    await imported(old_dsn, order_repository)
    await PostgresErasure(database).forget(["old-0000001", "old-0000003", "never stored"])
    for sample in (None, 5):
        result = await compared(old_dsn, database, sample)
        assert (result.old.incomplete, result.forgotten, result.is_equal) == (6, 1, True)
        assert not result.invalid


async def test_an_order_that_only_this_service_has_is_a_difference(
    old_dsn: str, order_repository: PostgresOrderRepository, database: PostgresDatabase
) -> None:
    old_service.fill(old_dsn, 1, 3)
    await imported(old_dsn, order_repository)
    old_service.execute(
        old_dsn,
        "DELETE FROM items WHERE order_uid = 'old-0000002'; DELETE FROM delivery WHERE order_uid ="
        " 'old-0000002'; DELETE FROM payments WHERE order_uid = 'old-0000002';"
        " DELETE FROM orders WHERE order_uid = 'old-0000002'",
    )
    result = await compared(old_dsn, database)
    assert (result.equal, result.uids) == (2, {"only in the new database": ["old-0000002"]})


@pytest.mark.parametrize(
    ("any_old_dsn", "text"),
    [
        ("UTF8", "Помада 💄"),
        ("WIN1251", "Помада"),
        ("LATIN1", "Crème"),
        ("EUC_JP", "口紅"),
        ("EUC_TW", "口紅"),
        ("SQL_ASCII", "Помада"),
    ],
    indirect=["any_old_dsn"],
)
async def test_every_encoding_is_read(any_old_dsn: str, text: str) -> None:
    old_service.fill(any_old_dsn, 1, 2)
    with psycopg.connect(any_old_dsn, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute(f"UPDATE items SET name = '{text}'".encode())
    found = await documents(any_old_dsn)
    assert [order["items"][0]["name"] for order in found] == [text] * 2  # type: ignore[index]


async def test_an_order_uid_that_the_old_encoding_lacks_is_not_there(any_old_dsn: str) -> None:
    old_service.fill(any_old_dsn, 1, 3)
    wanted = ["old-0000001", "💄", "old-0000002", "old-0000003"]
    async with open_legacy_orders(any_old_dsn) as old:
        found = [uid async for documents in old.documents(wanted) for uid in documents]
        assert await old.known(["💄"]) == set()
    assert sorted(found) == ["old-0000001", "old-0000002", "old-0000003"]


async def test_bytes_that_are_not_utf8_are_refused_and_the_rest_stored(
    postgres_dsn: str, order_repository: PostgresOrderRepository
) -> None:
    with roles.database(postgres_dsn, "SQL_ASCII") as dsn:
        old_service.make_tables(dsn)
        old_service.fill(dsn, 1, 3)
        with psycopg.connect(dsn, autocommit=True, client_encoding="SQL_ASCII") as connection:
            connection.execute(
                b"UPDATE delivery SET name = '\xcf\xee' WHERE order_uid = 'old-0000002'"
            )
        report = await imported(dsn, order_repository)
    assert (report.stored, report.refused) == (2, {"undecodable": 1})


async def test_a_byte_without_a_character_costs_only_the_orders_that_have_it(
    postgres_dsn: str, order_repository: PostgresOrderRepository, database: PostgresDatabase
) -> None:
    with roles.database(postgres_dsn, "WIN1251") as dsn:
        old_service.make_tables(dsn)
        old_service.fill(dsn, 1, 4)
        with psycopg.connect(dsn, autocommit=True, client_encoding="WIN1251") as connection:
            # Read as UTF-8, the bytes D4 98 would be a letter.
            connection.execute(b"UPDATE items SET name = '\xd4\x98' WHERE order_uid LIKE '%2'")
            connection.execute(b"UPDATE items SET name = '\xd4' WHERE order_uid LIKE '%3'")
            connection.execute(b"SET session_replication_role = replica")  # no foreign keys
            for table in ("orders", "delivery", "payments", "items"):
                rename = f"UPDATE {table} SET order_uid = 'old-%b' WHERE order_uid LIKE '%%%b'"
                connection.execute(rename.encode() % (b"\x97", b"3"))
                connection.execute(rename.encode() % (b"\x98", b"4"))
        refused: list[RefusedOrder] = []
        report = await imported(dsn, order_repository, refused.extend)
        assert (report.stored, report.refused) == (2, {"undecodable": 2})
        assert sorted(one.position for one in refused) == [
            "order_uid old-0000002",
            "order_uid old-\udc98",
        ]
        stored = await order_repository.get(["old-—"])
        assert '"name":"Ф"' in stored["old-—"].decode()
        result = await compared(dsn, database)
        assert (result.equal, result.invalid, result.is_equal) == (2, 2, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE payments ALTER amount TYPE text", "column payments.amount is text"),
        ("ALTER TABLE orders RENAME oof_shard TO status", "orders has no column oof_shard"),
        ("DROP TABLE delivery", "no table delivery"),
    ],
)
async def test_another_form_is_one_clear_error(old_dsn: str, change: str, said: str) -> None:
    old_service.execute(old_dsn, change)
    with pytest.raises(Invalid, match=said):
        await documents(old_dsn)


async def test_our_own_tables_are_not_taken_for_the_old_ones(database_dsn: str) -> None:
    with pytest.raises(Invalid, match="those of this service: name the schema"):
        await documents(database_dsn)


async def test_both_addresses_of_one_place_are_recognized(old_dsn: str) -> None:
    same = make_conninfo(old_dsn, application_name="another text")
    with pytest.raises(Invalid, match="ORDERS_POSTGRES_DSN leads to the old tables too"):
        async with open_legacy_orders(old_dsn, same):
            pass


async def test_a_server_that_is_down_is_told() -> None:
    dsn = "host=127.0.0.1 port=1 dbname=none password=secret"
    with pytest.raises(Unavailable, match="the old database") as caught:
        await documents(dsn)
    assert "secret" not in str(caught.value)

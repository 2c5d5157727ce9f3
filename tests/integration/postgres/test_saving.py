"""What stands in the way of a batch: the database's own rules, other writers, time, a crash."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres import comparison
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.documents import Documents, read_documents
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.read_sql import DISTRIBUTED_DOCUMENTS_WITHIN, DOCUMENTS_WITHIN
from orders.adapters.postgres.session import Timeouts
from orders.adapters.postgres.tables import TABLES
from orders.adapters.postgres.writing import FEW
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.document import encode
from tests.contracts.order_repository import (
    assert_holds,
    newest,
    numbered,
    order_of,
    report,
    uids,
    with_amount,
)
from tests.integration.opened import opened
from tests.integration.tcp_proxy import TcpProxy, Watch
from tests.waiting import until

Admin = psycopg.AsyncConnection

GATE = 4711
CLOSE_GATE = f"SELECT pg_advisory_lock({GATE})"
OPEN_GATE = f"SELECT pg_advisory_unlock({GATE})"

# Rows of items wait at a gate that the test opens and shuts: a write in the midst of its write.
GATE_TRIGGER = f"""
    CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared({GATE});
        RETURN NEW;
    END $$;
    CREATE TRIGGER gate BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION wait_at_gate()
"""
SLEEP_TRIGGER = """
    CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(0.03);
        RETURN NEW;
    END $$;
    CREATE TRIGGER nap BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nap()
"""
# What a sequence has counted stays counted when the attempt is rolled back.
COUNT_TRIGGER = """
    CREATE SEQUENCE attempts;
    CREATE FUNCTION count_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('attempts');
        RETURN NULL;
    END $$;
    CREATE TRIGGER count_attempt BEFORE INSERT ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION count_attempt()
"""
RECORD_TRIGGER = """
    CREATE TABLE record (number serial, name text);
    CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO record (name) VALUES (TG_TABLE_NAME);
        RETURN NEW;
    END $$;
"""
RECORDED = "SELECT name FROM record GROUP BY name ORDER BY min(number)"
TURNS = """
    SELECT count(*) FROM (
        SELECT name IS DISTINCT FROM lag(name) OVER (ORDER BY number) AS changes FROM record
    ) AS rows WHERE changes
"""
AT_GATE = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory' AND pid <> pg_backend_pid()
"""


few_and_many = pytest.mark.parametrize("size", [FEW, FEW + 1])
"""The sizes between which the way of writing changes."""


async def pid_at_gate(admin: Admin) -> int:
    found: list[int] = []

    async def someone_waits() -> bool:
        found[:] = [pid for (pid,) in await (await admin.execute(AT_GATE)).fetchall()]
        return bool(found)

    await until(someone_waits)
    return found[0]


async def counts(admin: Admin) -> list[int]:
    found = []
    for table in TABLES:
        cursor = await admin.execute(f"SELECT count(*) FROM {table.name}")
        found.append((await cursor.fetchone() or (-1,))[0])
    return found


@pytest.fixture
async def hasty(database_dsn: str) -> AsyncIterator[PostgresOrderRepository]:
    """A repository with little patience."""
    timeouts = Timeouts(statement=0.5, lock=0.25)
    async with opened(PostgresDatabase(database_dsn, pool_max=4, timeouts=timeouts)) as database:
        yield PostgresOrderRepository(database)


async def test_rows_that_a_constraint_refuses_are_found(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute("ALTER TABLE payments ADD CONSTRAINT not_13 CHECK (amount <> 13)")
    batch = numbered(64)
    bad = {0, 31, 32, 40, 41, 63}
    sent = [with_amount(order, 13) if n in bad else order for n, order in enumerate(batch)]
    result = await order_repository.save_many(sent)
    assert set(result.rejected) == {batch[n].order_uid for n in bad}
    assert set(result.rejected.values()) == {
        "PostgreSQL refuses it: check violation (23514), table payments, constraint not_13"
    }
    good = [order for n, order in enumerate(batch) if n not in bad]
    assert result.saved == set(uids(good))
    await assert_holds(order_repository, good)
    assert await counts(admin) == [len(good)] * 4


@pytest.mark.parametrize("expects_duplicates", [False, True])
@pytest.mark.parametrize("large", ["items", "text"])
async def test_a_large_order_is_not_copied_many_times(
    order_repository: PostgresOrderRepository, large: str, expects_duplicates: bool
) -> None:
    """Each item repeats the order_uid, of up to a kilobyte, and each backslash may be escaped."""
    if expects_duplicates:
        for _ in range(2):
            await order_repository.save_many(numbered(1))
    order = order_of("\U0001f600" * 255)
    if large == "items":
        order = msgspec.structs.replace(order, items=order.items * 20_000)
    else:
        order = msgspec.structs.replace(order, entry="\\" * 1_000_000)
    tracemalloc.start()
    try:
        assert (await order_repository.save_many([order])).saved
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


class Counted(Watch):
    """Counts what passes on all connections: bytes of the server, and changes of direction."""

    received = turns = 0
    sends = False

    def from_client(self, data: bytes) -> bytes:
        Counted.turns += not self.sends
        self.sends = True
        return data

    def from_server(self, data: bytes) -> bytes:
        self.sends = False
        Counted.received += len(data)
        return data


@pytest.fixture
async def counted(database_dsn: str) -> AsyncIterator[PostgresOrderRepository]:
    """A repository with one connection, which ``Counted`` sees."""
    parts = conninfo_to_dict(database_dsn)
    with TcpProxy(str(parts["host"]), int(str(parts["port"])), Counted) as door:
        behind = make_conninfo(database_dsn, host="127.0.0.1", port=door.port)
        async with opened(PostgresDatabase(behind, pool_max=1)) as database:
            Counted.received = Counted.turns = 0
            yield PostgresOrderRepository(database)


@pytest.mark.parametrize(
    "large", [{"count": 8_000}, {"entry": "x" * 1_000_000}, {"entry": "\1" * 8_000}]
)
async def test_small_orders_are_not_compared_with_the_content_of_large_ones(
    counted: PostgresOrderRepository, large: dict[str, Any]
) -> None:
    """Else whoever sends a hundred kilobytes would have the consumer read a gigabyte."""
    stored = [order_of(f"uid-{n}", **large) for n in range(4)]
    others = [order_of(order.order_uid) for order in stored]
    await counted.save_many(stored)
    Counted.received = 0
    assert await counted.save_many(others) == report(conflicts=uids(others))
    assert Counted.received < 10_000
    assert await counted.save_many(stored) == report(unchanged=uids(stored))


async def test_orders_are_compared_part_by_part(
    order_repository: PostgresOrderRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message may have orders enough for a gigabyte of stored documents."""
    read_at_once: list[int] = []

    async def noting(*arguments: Any) -> Documents:
        read = await read_documents(*arguments)
        read_at_once.append(sum(map(len, read.found.values())))
        return read

    monkeypatch.setattr(comparison, "read_documents", noting)
    monkeypatch.setattr(comparison, "BYTES_AT_ONCE", 10_000)
    stored = [order_of(f"uid-{n}", entry="\1" * 500) for n in range(40)]
    await order_repository.save_many(stored)
    new = order_of("uid-new")
    mixed = [*stored[:20], *(order_of(uid, entry="\2" * 500) for uid in uids(stored[20:])), new]
    found = await order_repository.save_many(mixed)
    assert found == report(
        saved=["uid-new"], unchanged=uids(stored[:20]), conflicts=uids(stored[20:])
    )
    versions = [*mixed, *stored]
    assert await order_repository.are_stored(versions) == [
        *([True] * 20 + [False] * 20),
        *([True] * 41),
    ]
    assert max(read_at_once) <= 10_000
    assert sum(read_at_once) > 100_000


async def test_an_order_beside_one_that_is_stored_takes_a_few_round_trips(
    counted: PostgresOrderRepository, order_repository: PostgresOrderRepository
) -> None:
    """Whatever the number of its items."""
    stored, large = order_of("a"), order_of("b", count=2_000)
    await order_repository.save_many([stored])
    Counted.turns = 0
    found = await counted.save_many([stored, large])
    assert found == report(saved=["b"], unchanged=["a"])
    assert Counted.turns < 100
    await assert_holds(order_repository, [stored, large])


@pytest.mark.parametrize("statement", [DOCUMENTS_WITHIN, DISTRIBUTED_DOCUMENTS_WITHIN])
async def test_documents_of_a_size_at_most(
    order_repository: PostgresOrderRepository, admin: Admin, statement: bytes
) -> None:
    order = order_of("a", count=100, entry="ж" * 100)
    await order_repository.save_many([order])
    size = len(encode(order))
    for most, is_read in ((size, True), (127 * 99, False), (200, False)):
        cursor = await admin.execute(statement, {"order_uids": ["a"], "sizes": [most]})
        uid, document, *_ = await cursor.fetchone() or ()
        assert (uid, document) == ("a", json.loads(encode(order)) if is_read else None)


@pytest.mark.parametrize("state", ["22012", "23000", "44000", "54000", "P0001"])
async def test_rows_that_a_trigger_refuses(
    order_repository: PostgresOrderRepository, admin: Admin, state: str
) -> None:
    await admin.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.customer_id = 'bad' THEN
                RAISE EXCEPTION 'the customer is %', NEW.customer_id USING ERRCODE = '{state}';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()
    """)
    good = numbered(9)
    result = await order_repository.save_many([*good, order_of("uid-0004b", customer_id="bad")])
    assert result.saved == set(uids(good))
    assert list(result.rejected) == ["uid-0004b"]
    assert state in result.rejected["uid-0004b"]
    assert "bad" not in result.rejected["uid-0004b"]


async def test_another_unique_key_is_a_refusal_and_not_a_known_order(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute("CREATE UNIQUE INDEX one_email ON delivery (email)")
    first, second = order_of("first"), order_of("second")
    assert await order_repository.save_many([first]) == report(saved=["first"])
    result = await order_repository.save_many([second])
    assert "one_email" in result.rejected["second"]


@few_and_many
async def test_an_error_that_nobody_foresaw_is_raised_and_nothing_is_stored(
    order_repository: PostgresOrderRepository, admin: Admin, size: int
) -> None:
    await admin.execute("ALTER TABLE items DROP COLUMN brand")
    with pytest.raises(Unavailable, match="column brand of table items is missing"):
        await order_repository.save_many(numbered(size))
    await admin.execute("ALTER TABLE items ADD COLUMN brand text NOT NULL DEFAULT ''")
    await admin.execute("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = 'XX000'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fail()
    """)
    with pytest.raises(OrdersError, match="XX000") as raised:
        await order_repository.save_many(numbered(size))
    assert raised.value.code == "internal"
    assert isinstance(raised.value.__cause__, psycopg.Error)
    assert "secret" not in f"{raised.value} {raised.value.__cause__}"
    assert await counts(admin) == [0] * 4


@few_and_many
async def test_a_crash_in_the_midst_of_a_write_leaves_nothing(
    order_repository: PostgresOrderRepository, admin: Admin, size: int
) -> None:
    await admin.execute(GATE_TRIGGER)
    await admin.execute(CLOSE_GATE)
    batch = numbered(size)
    saving = asyncio.create_task(order_repository.save_many(batch))
    pid = await pid_at_gate(admin)
    assert await order_repository.get(uids(batch)) == {}, "seen before it was whole"
    await admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(Unavailable):
        await saving
    assert await counts(admin) == [0] * 4
    await admin.execute(OPEN_GATE)
    assert await order_repository.save_many(batch) == report(saved=uids(batch))
    await assert_holds(order_repository, batch)


@few_and_many
async def test_orders_appear_whole_or_not_at_all(
    order_repository: PostgresOrderRepository, admin: Admin, size: int
) -> None:
    await admin.execute(GATE_TRIGGER)
    await admin.execute(CLOSE_GATE)
    batch = numbered(size)
    saving = asyncio.create_task(order_repository.save_many(batch))
    await pid_at_gate(admin)
    assert await newest(order_repository, 99) == []
    await admin.execute(OPEN_GATE)
    assert (await saving).saved == set(uids(batch))
    await assert_holds(order_repository, batch)


async def test_a_cancelled_save_leaves_nothing_and_the_pool_works_on(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute(GATE_TRIGGER)
    await admin.execute(CLOSE_GATE)
    batch = numbered(5)
    for _ in range(6):  # more than the pool has connections
        saving = asyncio.create_task(order_repository.save_many(batch))
        await pid_at_gate(admin)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
    assert await counts(admin) == [0] * 4
    await admin.execute(OPEN_GATE)
    assert (await order_repository.save_many(batch)).saved == set(uids(batch))


async def test_a_row_that_another_one_holds_is_waited_for_only_so_long(
    hasty: PostgresOrderRepository, database_dsn: str
) -> None:
    async with await Admin.connect(database_dsn) as other:
        await other.execute(
            "INSERT INTO orders SELECT (jsonb_populate_record(NULL::orders, %s::jsonb)).*",
            [encode(order_of("b")).decode()],
        )
        with pytest.raises(Unavailable, match="55P03"):
            await hasty.save_many([order_of("a"), order_of("b")])
        assert await hasty.get(["a", "b"]) == {}
        await other.rollback()
    assert (await hasty.save_many([order_of("a"), order_of("b")])).saved == {"a", "b"}


async def test_another_writer_that_commits_meanwhile_wins(
    database_dsn: str, admin: Admin, order_repository: PostgresOrderRepository
) -> None:
    await admin.execute(GATE_TRIGGER)
    await admin.execute(CLOSE_GATE)
    first = asyncio.create_task(order_repository.save_many(numbered(6)[2:4]))
    await pid_at_gate(admin)
    changed = [with_amount(order, 5) if n == 3 else order for n, order in enumerate(numbered(6))]
    second = asyncio.create_task(order_repository.save_many(changed))

    async def second_waits_for_first() -> bool:
        cursor = await admin.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event = 'transactionid'"
        )
        return await cursor.fetchone() is not None

    await until(second_waits_for_first)
    await admin.execute(OPEN_GATE)
    assert (await first).saved == {"uid-0002", "uid-0003"}
    assert await second == report(
        saved=["uid-0000", "uid-0001", "uid-0004", "uid-0005"],
        unchanged=["uid-0002"],
        conflicts=["uid-0003"],
    )
    await assert_holds(order_repository, numbered(6))


async def test_a_batch_that_takes_too_long_is_halved(
    hasty: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute(SLEEP_TRIGGER)
    batch = numbered(30)  # 0.9 s, where a statement has 0.5
    await hasty.save_many(batch[7:8])
    result = await hasty.save_many(batch)
    assert result == report(saved=set(uids(batch)) - {"uid-0007"}, unchanged=["uid-0007"])
    await assert_holds(hasty, batch)


async def test_a_single_order_that_times_out_is_not_rejected(
    hasty: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute(SLEEP_TRIGGER.replace("0.03", "0.8"))
    with pytest.raises(Unavailable, match="57014"):
        await hasty.save_many(numbered(2))
    assert await counts(admin) == [0] * 4


async def test_orders_that_vanish_while_they_are_judged_end_in_a_retry(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    # A row that is there for the key and not for who looks, as one deleted at that moment.
    await order_repository.save_many([order_of("uid")])
    await admin.execute("ALTER TABLE orders RENAME TO all_orders")
    await admin.execute("""
        CREATE VIEW orders AS SELECT * FROM all_orders WHERE false
    """)
    await admin.execute("""
        CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO all_orders SELECT NEW.*; RETURN NEW; END $$;
        CREATE TRIGGER pass_on INSTEAD OF INSERT ON orders
        FOR EACH ROW EXECUTE FUNCTION pass_on()
    """)
    with pytest.raises(Unavailable, match="deleted"):
        await order_repository.save_many([order_of("uid"), order_of("other")])


@few_and_many
async def test_tables_are_written_one_after_another(
    order_repository: PostgresOrderRepository, admin: Admin, size: int
) -> None:
    # Two writers of the same orders would otherwise wait for each other.
    await admin.execute(RECORD_TRIGGER)
    for table in TABLES:
        await admin.execute(
            f"CREATE TRIGGER record BEFORE INSERT ON {table.name}"
            " FOR EACH ROW EXECUTE FUNCTION record()"
        )
    await order_repository.save_many(numbered(size))
    names = [name for (name,) in await (await admin.execute(RECORDED)).fetchall()]
    assert names == [table.name for table in TABLES]
    assert await (await admin.execute(TURNS)).fetchone() == (len(TABLES),)


async def test_writers_of_shuffled_batches_do_not_deadlock(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute(SLEEP_TRIGGER)  # so that all of them are in the midst of it at once
    batch = numbered(8)
    shuffled = [batch[n:] + batch[:n] for n in range(0, 8, 2)]
    # A deadlock would be an error of one of them, for the server ends it by cancelling one.
    await asyncio.gather(*(order_repository.save_many(share[::-1]) for share in shuffled))
    await assert_holds(order_repository, batch)


async def test_another_writer_that_commits_between_query_and_write_wins(
    order_repository: PostgresOrderRepository, database_dsn: str, admin: Admin
) -> None:
    known, raced, new = numbered(3)
    await order_repository.save_many([known])
    await admin.execute(GATE_TRIGGER)
    await admin.execute(CLOSE_GATE)
    # The rival's order is written and not committed: a look does not see it, a write waits for it.
    rival = asyncio.create_task(order_repository.save_many([raced]))
    await pid_at_gate(admin)
    saving = asyncio.create_task(order_repository.save_many([known, raced, new]))

    async def waits_for_the_rival() -> bool:
        cursor = await admin.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event = 'transactionid'"
        )
        return await cursor.fetchone() is not None

    await until(waits_for_the_rival)
    await admin.execute(OPEN_GATE)
    assert (await rival).saved == {raced.order_uid}
    assert await saving == report(
        saved=[new.order_uid], unchanged=[known.order_uid, raced.order_uid]
    )
    await assert_holds(order_repository, [known, raced, new])


async def test_after_a_known_order_it_looks_before_it_writes(
    order_repository: PostgresOrderRepository, admin: Admin
) -> None:
    await admin.execute(COUNT_TRIGGER)
    batch = numbered(10)
    changed = with_amount(batch[0], 5)
    expected = [
        (batch[:3], 1),  # new: one attempt
        ([batch[2], *batch[3:5]], 2),  # one is known: the first attempt fails
        ([changed, *batch[5:7]], 1),  # again one is known, and was looked for
        (batch[7:8], 1),  # new: the look finds nothing
        ([batch[0], *batch[8:]], 2),  # so the next was not looked for
    ]
    before = 0
    for orders, attempts in expected:
        await order_repository.save_many(orders)
        cursor = await admin.execute("SELECT last_value FROM attempts")
        (after,) = await cursor.fetchone() or (0,)
        assert after - before == attempts
        before = after
    await assert_holds(order_repository, batch)

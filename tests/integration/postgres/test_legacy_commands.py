"""`orders import --legacy` and `orders compare` as processes, on a real server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.integration import old_service
from tests.integration.system.processes import SOURCES
from tests.waiting import wait_until


def start(new: str, old: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
    (folder / "dsn").write_text(old)
    return subprocess.Popen(
        [sys.executable, "-m", "orders", *arguments],
        env=inherited
        | {
            "PYTHONPATH": SOURCES,
            "ORDERS_POSTGRES_DSN": new,
            "ORDERS_LEGACY_DSN_FILE": str(folder / "dsn"),
            "ORDERS_AUDIT_LOG": str(folder / "audit.log"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchall()[0][0]  # type: ignore[no-any-return]


def test_a_killed_import_goes_on_and_all_compares_equal(
    database_dsn: str, empty_database_dsn: str, tmp_path: Path
) -> None:
    old, number = empty_database_dsn, 20_000
    old_service.make_tables(old)
    old_service.fill(old, 1, number)
    old_service.execute(
        old,
        "CREATE INDEX ON items (order_uid); DELETE FROM payments WHERE order_uid = 'old-0020000'",
    )
    importing = ("import", "--direct", "--legacy")
    killed = start(database_dsn, old, tmp_path, *importing)
    try:
        wait_until(lambda: stored(database_dsn) > 0, 60, "the first batch is stored")
    finally:
        killed.kill()
        killed.communicate()
    before = stored(database_dsn)
    assert 0 < before < number

    out, err = (again := start(database_dsn, old, tmp_path, *importing)).communicate(timeout=60)
    assert again.returncode == 1, err
    assert f"{before:,} unchanged" in out
    assert "order_uid old-0020000: invalid: $.payment" in err
    assert stored(database_dsn) == number - 1
    (line,) = (tmp_path / "audit.log").read_text().splitlines()
    assert json.loads(line)["event"] == "imported"

    out, err = (done := start(database_dsn, old, tmp_path, "compare", "--all")).communicate(
        timeout=60
    )
    assert done.returncode == 0, out + err
    assert "19,999 equal" in out
    assert "1 more in the old database without delivery or payment" in out

    old_service.execute(old, "UPDATE payments SET bank = 'x' WHERE order_uid = 'old-0000007'")
    out, err = (done := start(database_dsn, old, tmp_path, "compare", "--all")).communicate(
        timeout=60
    )
    assert (done.returncode, "1 different: old-0000007" in out) == (1, True), out + err
    assert "payment.bank differs in 1" in out
    assert "Test Testov" not in out + err


def test_a_signal_ends_a_comparison_while_the_old_server_works(
    database_dsn: str, empty_database_dsn: str, tmp_path: Path
) -> None:
    old = empty_database_dsn
    old_service.make_tables(old)
    with psycopg.connect(old) as locking:
        locking.execute("LOCK TABLE payments")
        comparing = start(database_dsn, old, tmp_path, "compare")
        try:
            wait_until(lambda: waiting_for_locks(old), 60, "the comparison waits for the lock")
            comparing.send_signal(signal.SIGINT)
            out, err = comparing.communicate(timeout=20)
        finally:
            comparing.kill()
        # The server no longer works on it.
        wait_until(lambda: not waiting_for_locks(old), 10, "the statement is cancelled")
    assert (comparing.returncode, "stopped: not all of it was compared" in err) == (1, True), err
    assert (out, "Traceback" in err) == ("", False)
    (line,) = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
    assert (line["event"], line["outcome"], line["number"]) == ("compared", "stopped", 0)


def waiting_for_locks(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.execute(  # type: ignore[no-any-return]
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'orders-legacy' AND wait_event_type = 'Lock'"
        ).fetchall()[0][0]

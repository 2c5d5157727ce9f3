"""`orders import` and `orders export` as processes, on real servers."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from tests.builders import order_bytes
from tests.integration.system.processes import SOURCES, START_SECONDS, System
from tests.waiting import wait_until

NONE: Mapping[str, str] = {}
PERSONAL = "Test Testov"


def orders(
    running: System,
    *arguments: str,
    stdin: bytes = b"",
    code: int = 0,
    more: Mapping[str, str] = NONE,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with the settings of the system; asserts its exit code."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
    done = subprocess.run(
        [sys.executable, "-m", "orders", *arguments],
        env=inherited | {"PYTHONPATH": SOURCES} | running.environment | dict(more),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def canonical(*order_uids: str) -> list[bytes]:
    return [encode(read(order_bytes(uid)).accepted[0].order) for uid in order_uids]


def exported(running: System, *options: str) -> list[bytes]:
    return sorted(orders(running, "export", *options).stdout.splitlines())


def test_directly_out_and_in_again(running: System, tmp_path: Path) -> None:
    orders(running, "migrate")
    audit = {"ORDERS_AUDIT_LOG": str(tmp_path / "audit.log")}
    uids = [f"uid-{n:04}" for n in range(1_500)]
    array = gzip.compress(b"[" + b",\n".join(map(order_bytes, uids)) + b"]")
    done = orders(running, "import", "--direct", stdin=array, more=audit)
    assert done.stdout.startswith(b"1,500 stored (")
    done = orders(running, "import", "--direct", stdin=array, more=audit)
    assert done.stdout.startswith(b"1,500 unchanged (")
    assert exported(running) == canonical(*uids)
    assert exported(running, "--order-uid", "uid-0007") == canonical("uid-0007")
    file = tmp_path / "orders.ndjson.zst"
    orders(running, "export", "--output", str(file), more=audit)
    orders(running, "export", "--customer-id", "nobody", more=audit)
    assert sorted(file.parent.iterdir()) == [tmp_path / "audit.log", file]
    orders(running, "forget", "uid-0000")
    done = orders(running, "import", "--direct", str(file))
    assert done.stdout.startswith(b"1,499 unchanged, 1 forgotten before (")
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(line["event"], line["number"]) for line in lines] == [
        ("imported", 1_500),
        ("imported", 0),
        ("exported", 1_500),
        ("exported", 0),
    ]
    assert [line["filters"] for line in lines[2:]] == [[], ["customer_id"]]


def test_what_is_refused_is_written_down_and_the_rest_goes_in(
    running: System, tmp_path: Path
) -> None:
    orders(running, "migrate")
    other = order_bytes("a").replace(b"WBILMTESTTRACK", b"OTHERTRACK")
    good = tmp_path / "good.ndjson"
    good.write_bytes(b"\n".join([order_bytes("a"), b"{broken", order_bytes("b"), other, b"\xff"]))
    refused = tmp_path / "refused"
    done = orders(running, "import", "--direct", "--refused", str(refused), str(good), code=1)
    assert done.stdout.startswith(b"2 stored, 1 in conflict, 2 refused (")
    assert PERSONAL.encode() not in done.stdout + done.stderr
    assert refused.stat().st_mode & 0o777 == 0o600
    lines = sorted(map(json.loads, refused.read_text().splitlines()), key=lambda x: x["position"])
    assert [(line["position"], line["code"]) for line in lines] == [
        (f"{good}: line 2", "undecodable"),
        (f"{good}: line 4", "conflict"),
        (f"{good}: line 5", "undecodable"),
    ]
    assert lines[1]["original"].encode() == other
    assert lines[2]["original_base64"] == "/w=="
    assert exported(running) == canonical("a", "b")


def test_by_way_of_the_topic(running: System) -> None:
    running.start("consumer")
    running.start_api()
    uids = [f"uid-{n:04}" for n in range(1_200)]
    done = orders(running, "import", "-", stdin=b"\n".join(map(order_bytes, uids)))
    assert done.stdout.startswith(b"1,200 sent to the topic (")
    wait_until(lambda: len(exported(running)) == 1_200, START_SECONDS, "all are stored")
    assert exported(running) == canonical(*uids)


def test_csv(running: System, tmp_path: Path) -> None:
    orders(running, "migrate")
    orders(running, "import", "--direct", stdin=order_bytes("a") + b"\n" + order_bytes("b"))
    orders(running, "export", "--format", "csv", "--output", str(tmp_path / "out"))
    for name in ("orders", "items"):
        assert len((tmp_path / "out" / f"{name}.csv").read_bytes().splitlines()) == 3
    orders(running, "export", "--format", "csv", "--output", str(tmp_path / "out"), code=2)


@pytest.mark.parametrize("arguments", [("import", "--direct"), ("export",)], ids=" ".join)
def test_a_server_that_is_down_is_a_failure(running: System, arguments: tuple[str, ...]) -> None:
    down = {"ORDERS_POSTGRES_DSN": "postgresql://127.0.0.1:1/none"}
    done = orders(running, *arguments, stdin=order_bytes("a"), code=1, more=down)
    assert b"Traceback" not in done.stderr

"""Record batches that brokers accept, but no client library writes: none ends the consumer."""

import gzip
import json
import os
from typing import Any

from tests.integration.kafka.raw_batches import batch, produce, record
from tests.integration.system.processes import System
from tests.integration.system.test_junk import codes, order, send_packed

MIB = 1024 * 1024


def start(system: System) -> None:
    """Start both, and wait until an order went all the way: the topic is there."""
    system.start_api()
    system.start("consumer")
    system.send(order("before"))
    assert system.order("before").status_code == 200


def alive(system: System) -> bool:
    """Whether the consumer still runs, as the process that was started."""
    return system._processes["consumer"].poll() is None


def test_offsets_outside_of_their_batch(running: System) -> None:
    start(running)
    crafted = batch(record(20, order("outside")), 1)
    assert produce(running.bootstrap, running.topic, [crafted]) == [0]
    uids = [f"uid-{number}" for number in range(30)]
    for uid in uids:
        running.send(order(uid))
    assert all(running.order(uid).status_code == 200 for uid in uids)
    assert codes(running, 1) == [("undecodable", None)]
    assert "position beyond the end" not in running.log("consumer")
    assert alive(running)


def test_records_of_a_wrong_length(running: System) -> None:
    start(running)
    records = record(0, order("in front")) + record(1, order("wrong"), length=7)
    crafted = batch(gzip.compress(records + record(2, order("after"))), 3, attributes=1)
    assert produce(running.bootstrap, running.topic, [crafted]) == [0]
    running.send(order("behind"))
    assert all(running.order(uid).status_code == 200 for uid in ("in front", "behind"))
    [dead_letter] = running.dead_letters(1)
    headers: Any = dict(dead_letter.headers() or [])
    assert headers["orders-error-code"] == b"undecodable"
    assert (headers["orders-source-offset"], headers["orders-omitted"]) == (b"2", b"2")
    assert dead_letter.value() is None
    assert alive(running)


def test_bytes_behind_the_records(running: System) -> None:
    start(running)
    crafted = batch(gzip.compress(record(0, order("in front"))) + b"junk", 1, attributes=1)
    assert produce(running.bootstrap, running.topic, [crafted]) == [0]
    running.send(order("behind"))
    assert all(running.order(uid).status_code == 200 for uid in ("in front", "behind"))
    assert alive(running)


def test_a_batch_above_64_mib(running: System) -> None:
    running.start_api()
    running.start("consumer")
    values = [json.dumps({"padding": " " * 900_000}).encode() for _ in range(80)]
    send_packed(running, [order("first"), *values, order("last")])
    running.send(order("behind"))
    assert all(running.order(uid).status_code == 200 for uid in ("first", "last", "behind"))
    assert codes(running, 80) == [("invalid", value) for value in values]
    assert alive(running)


def test_a_record_above_64_mib(running: System) -> None:
    running.start_api()
    running.start("consumer")
    send_packed(running, [order("first"), b" " * 70 * MIB, order("last")])
    running.send(order("behind"))
    assert all(running.order(uid).status_code == 200 for uid in ("first", "last", "behind"))
    [dead_letter] = running.dead_letters(1)
    headers: Any = dict(dead_letter.headers() or [])
    assert headers["orders-error-code"] == b"excessive"
    assert (headers["orders-source-offset"], headers["orders-omitted"]) == (b"1", b"1")
    assert dead_letter.value() is None
    assert alive(running)


def test_what_zstd_packs_and_lz4_does_not(running: System) -> None:
    running.start_api()
    running.start("consumer")
    value = os.urandom(100_000) * 100  # lz4 looks back 64 KB
    send_packed(running, [value])
    running.send(order("behind"))
    assert running.order("behind").status_code == 200
    [dead_letter] = running.dead_letters(1)
    headers: Any = dict(dead_letter.headers() or [])
    assert headers["orders-error-code"] == b"undecodable"
    assert (headers["orders-source-offset"], headers["orders-omitted"]) == (b"0", b"1")
    assert dead_letter.value() is None


def test_a_flood_of_small_bad_messages_leaves_few_lines(running: System) -> None:
    running.start("consumer")
    send_packed(running, [b"x"] * 20_000)
    assert len(codes(running, 20_000)) == 20_000
    assert running.log("consumer").count('"dead letter"') < 500

"""Messages of some kilobytes that unpack to very much: good orders behind them are stored."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from orders.domain.dead_letters.headers import OWN
from tests.integration.system.processes import System

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "order.json").read_bytes())


def order(uid: str) -> bytes:
    return json.dumps(REFERENCE | {"order_uid": uid}).encode()


def send_packed(system: System, values: Iterable[bytes], **more: Any) -> None:
    """Send all values in one record batch."""
    producer = Producer(
        {
            "bootstrap.servers": system.bootstrap,
            "compression.type": "zstd",
            "message.max.bytes": 100_000_000,
            "batch.size": 100_000_000,
            "batch.num.messages": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "linger.ms": 5_000,  # the flush ends it
        }
    )
    for value in values:
        producer.produce(system.topic, value, **more)
    assert producer.flush(30) == 0


def codes(system: System, amount: int) -> list[tuple[str, bytes | None]]:
    """The code and payload of each dead letter, of which there must be so many."""
    found = []
    for message in system.dead_letters(amount):
        headers: Any = message.headers()
        found.append((dict(headers)["orders-error-code"].decode(), message.value()))
    return found


def test_arrays_of_junk_are_one_dead_letter_each(running: System) -> None:
    running.start_api()
    running.start("consumer")
    ones = b"[" + b",".join([order("inside"), *[b"1"] * 440_000]) + b"]"
    objects = b"[" + b",".join([b"{}"] * 300_000) + b"]"
    surrogates = b"[" + b",".join([b'"\\ud800"'] * 100_000) + b"]"
    send_packed(running, [ones, objects, surrogates] * 3)
    few = b"[" + b",".join([b"{}", order("among"), *[b"null"] * 10]) + b"]"
    running.send(few, order("behind"))
    assert running.order("behind").status_code == 200
    assert running.order("among").status_code == 200
    assert running.http.get("/orders/inside").status_code == 404
    found = codes(running, 9 + 11)
    assert found[:9] == [("excessive", value) for value in [ones, objects, surrogates] * 3]
    assert found[9:] == [("invalid", b"{}"), *[("invalid", b"null")] * 10]


def test_a_batch_of_very_many_records_loses_none(running: System) -> None:
    running.start_api()
    running.start("consumer")
    uids = [f"uid-{number}" for number in range(12)]
    values = [value for uid in uids for value in [*[b"[]"] * 10_000, order(uid)]]
    send_packed(running, values)
    running.send(order("behind"), b"x")
    assert all(running.order(uid).status_code == 200 for uid in [*uids, "behind"])
    assert codes(running, 1) == [("undecodable", b"x")]


def test_a_message_with_very_many_headers(running: System) -> None:
    running.start_api()
    running.start("consumer")
    send_packed(running, [order("a"), b"x"], headers=[("a", b"")] * 500_000)
    running.send(order("behind"))
    assert all(running.order(uid).status_code == 200 for uid in ("a", "behind"))
    [dead_letter] = running.dead_letters(1)
    headers: Any = dead_letter.headers()
    assert {name for name, _ in headers} == OWN


def test_an_array_whose_headers_would_be_repeated_very_often(running: System) -> None:
    running.start_api()
    running.start("consumer")
    value = b"[" + b",".join(order(f"uid-{number}") for number in range(200)) + b"]"
    send_packed(running, [value], headers=[("a", b"x" * 400_000)])
    running.send(order("behind"))
    assert running.order("behind").status_code == 200
    assert codes(running, 1) == [("excessive", value)]

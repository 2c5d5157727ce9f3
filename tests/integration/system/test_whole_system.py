"""From a message on the topic, sent by another Kafka client, to the answer over HTTP."""

import copy
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from tests.integration.system.processes import System
from tests.waiting import wait_until

REFERENCE = (Path(__file__).parents[2] / "data" / "order.json").read_bytes()
UID = "b563feb7b2b84b6test"


def reference(**changes: Any) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(REFERENCE) | changes
    return order


def headers_of(dead_letter: Message) -> dict[str, bytes]:
    headers: Any = dead_letter.headers()
    return dict(headers)


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def both(running: System) -> System:
    """API and consumer up, and the consumer known to be taking messages."""
    running.start("consumer")
    running.start_api()
    running.send(packed(reference(order_uid="first")))
    running.order("first")
    return running


def test_the_reference_order_as_an_object_is_served_within_two_seconds(both: System) -> None:
    both.send(REFERENCE, key=b"any")
    answer = both.order(UID, seconds=2)
    assert answer.json() == json.loads(REFERENCE)
    assert answer.json()["oof_shard"] == "1"
    assert answer.json()["items"][0]["status"] == 202
    assert list(answer.json()) == list(json.loads(REFERENCE))


def test_an_array_of_one(both: System) -> None:
    both.send(b"[" + REFERENCE + b"]")
    assert both.order(UID, seconds=2).json() == json.loads(REFERENCE)


def test_an_array_with_a_broken_neighbour(both: System) -> None:
    broken = reference(order_uid="broken")
    broken["payment"] = copy.deepcopy(broken["payment"]) | {"amount": "1817"}
    raw = b'  {"broken" : true, ' + packed(broken)[1:]
    both.send(b"[" + raw + b" ," + REFERENCE + b"]", key=b"k", headers=[("trace", b"\x00\xff")])
    assert both.order(UID, seconds=2).json() == json.loads(REFERENCE)
    (dead_letter,) = both.dead_letters(1)
    assert dead_letter.value() == raw.strip()
    assert dead_letter.key() == b"k"
    headers = headers_of(dead_letter)
    assert headers["orders-error-code"] == b"invalid"
    assert headers["orders-error-detail"] == b"$[0].payment.amount: expected int, got str"
    assert headers["orders-source-topic"] == both.topic.encode()
    assert headers["orders-source-partition"] == b"0"
    assert headers["orders-source-offset"] == b"1"
    assert headers["orders-source-index"] == b"0"
    assert headers["orders-attempt"] == b"1"
    assert headers["orders-failed-at"].endswith(b"Z")
    assert headers["trace"] == b"\x00\xff"
    assert both.http.get("/orders/broken").status_code == 404


def test_sending_again_changes_nothing_and_a_conflict_is_a_dead_letter(both: System) -> None:
    both.send(REFERENCE)
    first = both.order(UID)
    respaced = json.dumps(json.loads(REFERENCE), indent=3, sort_keys=True).encode()
    conflicting = packed(reference(entry="other"))
    both.send(REFERENCE, respaced, conflicting, packed(reference(order_uid="last")))
    both.order("last")
    again = both.order(UID)
    assert again.content == first.content
    assert again.headers["ETag"] == first.headers["ETag"]
    (dead_letter,) = both.dead_letters(1)
    assert dead_letter.value() == conflicting
    assert headers_of(dead_letter)["orders-error-code"] == b"conflict"
    newest = both.http.get("/orders").json()
    assert sorted(o["order_uid"] for o in newest) == sorted([UID, "first", "last"])


def test_what_is_posted_and_made_up_arrives_too(both: System) -> None:
    orders = [reference(order_uid=f"posted {i} / ü") for i in range(500)]
    answer = both.http.post("/orders", content=packed(orders))
    assert answer.status_code == 202
    assert answer.json()["order_uids"] == [o["order_uid"] for o in orders]
    made = both.http.post("/random/50")
    assert made.status_code == 200
    assert len(made.json()) == 50
    for order in made.json():
        assert both.order(order["order_uid"]).json() == order

    def all_there() -> bool:
        return len(both.http.get("/orders").json()) == 551

    wait_until(all_there, 10, "551 orders are listed")
    pages, url = [], "/orders?limit=20"
    while url:
        page = both.http.get(url)
        assert len(page.json()) <= 20
        pages += page.json()
        url = page.links.get("next", {}).get("url", "")
    assert pages == both.http.get("/orders").json()
    assert len({o["order_uid"] for o in pages}) == 551


def test_each_process_runs_without_the_other(both: System) -> None:
    assert both.stop("consumer") == 0
    both.send(REFERENCE)
    assert both.http.get(f"/orders/{UID}").status_code == 404
    assert both.http.get("/orders/first").status_code == 200
    both.start("consumer")
    both.order(UID)
    assert both.stop("api", signal.SIGINT) == 0
    both.send(packed(reference(order_uid="while the API is down")))
    both.start_api()
    both.order("while the API is down")
    assert both.stop("api") == 0
    assert both.stop("consumer", signal.SIGINT) == 0


def test_brokers_know_a_process_by_kind_and_host(both: System) -> None:
    both.send(REFERENCE)
    both.order(UID)
    admin = AdminClient({"bootstrap.servers": both.bootstrap})
    group = both.environment["ORDERS_KAFKA_GROUP"]
    [asked] = admin.describe_consumer_groups([group]).values()
    [member] = asked.result(15).members
    assert member.client_id == f"orders-consumer-{socket.gethostname()}"


def test_a_killed_consumer_takes_up_where_it_was(both: System) -> None:
    both.stop("consumer", signal.SIGKILL)
    both.send(*(packed(reference(order_uid=f"o{i}")) for i in range(100)))
    both.start("consumer")
    for i in range(100):
        both.order(f"o{i}")
    assert len(both.http.get("/orders").json()) == 101


def test_logs_hold_no_personal_data(both: System) -> None:
    broken = reference(order_uid="x")
    broken["delivery"] = broken["delivery"] | {"phone": "0123456"}
    both.send(REFERENCE, packed(broken), packed(reference(entry="conflict")))
    both.dead_letters(2)
    both.http.post("/orders", content=packed(broken))
    both.stop("api")
    both.stop("consumer")
    logged = both.log("api") + both.log("consumer")
    for line in logged.splitlines():
        json.loads(line)
    for private in ("Test Testov", "0123456", "9720000000", "Ploshad", "test@gmail.com"):
        assert private not in logged
    assert both.environment["ORDERS_POSTGRES_DSN"] not in logged

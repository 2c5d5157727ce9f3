"""Metrics of real processes: several workers of the API, and a consumer."""

import json
from collections import defaultdict
from functools import partial
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from tests.integration.system.processes import System, free_port
from tests.integration.tcp_proxy import TcpProxy
from tests.monitoring import OF_PROMETHEUS, TARGET_LABELS, metrics_in, queries, uses
from tests.waiting import wait_until

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "order.json").read_bytes())
LOOK_UPS = "orders_http_request_duration_seconds_count"


def scrape(port: int) -> list[Metric]:
    try:
        response = httpx.get(f"http://127.0.0.1:{port}/metrics")
    except httpx.TransportError:
        return []
    return list(text_string_to_metric_families(response.raise_for_status().text))


def samples(families: list[Metric]) -> dict[tuple[str, ...], float]:
    """The value of each series, by its name and the values of its labels in order."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def order(uid: str, **changes: object) -> bytes:
    return json.dumps(REFERENCE | {"order_uid": uid, **changes}).encode()


def test_all_workers_are_counted_whichever_answers(running: System) -> None:
    health = free_port()
    running.start_api(ORDERS_HTTP_WORKERS="2", ORDERS_HTTP_HEALTH_PORT=str(health))
    key = LOOK_UPS, "GET", "/orders/{order_uid}", "404"
    for _ in range(40):  # each on a connection of its own, which any worker may get
        assert httpx.get(f"http://127.0.0.1:{running.port}/orders/none").status_code == 404
    for port in (running.port, health):
        for _ in range(6):
            found = samples(scrape(port))
            assert found[key] == 40
            assert found["orders_postgres_waiting", "PostgreSQL"] == 0


def test_metrics_on_the_port_for_health_checks_alone(running: System) -> None:
    health = free_port()
    running.start_api(ORDERS_HTTP_METRICS="false", ORDERS_HTTP_HEALTH_PORT=str(health))
    assert running.http.get("/metrics").status_code == 404
    assert ("orders_postgres_waiting", "PostgreSQL") in samples(scrape(health))


def test_what_became_of_each_order_and_what_is_left(running: System) -> None:
    port = free_port()
    running.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=str(port))
    send_one_of_each(running)
    found = wait_for_outcomes(port)
    name = "orders_ingested_total"
    assert {key[1]: value for key, value in found.items() if key[0] == name} == {
        "stored": 3,
        "unchanged": 1,
        "conflict": 1,
        "invalid": 1,
        "excessive": 0,
        "undecodable": 1,
        "empty": 1,
        "rejected": 0,
        "forgotten": 0,
    }
    assert found["orders_ingested_messages_total",] == 7
    phases = ("read", "save", "dead_letters", "store", "commit")
    wait_until(
        lambda: (
            (now := samples(scrape(port)))["orders_consumer_lag_messages", "0"] == 0
            and now["orders_consumer_oldest_message_age_seconds",] == 0
            and now.get(("orders_dependency_up", "store")) == 1
            and all(now["orders_ingest_phase_duration_seconds_count", phase] for phase in phases)
        ),
        30,
        "nothing is left",
    )


def test_what_waits_while_nothing_can_be_stored(running: System, postgres_door: TcpProxy) -> None:
    port = free_port()
    dsn = make_conninfo(
        running.environment["ORDERS_POSTGRES_DSN"], host="127.0.0.1", port=postgres_door.port
    )
    running.start("consumer", ORDERS_POSTGRES_DSN=dsn, ORDERS_CONSUMER_HEALTH_PORT=str(port))
    running.send(order("first"))

    def are(**expected: float) -> None:
        """Wait for these values."""

        def ask() -> bool:
            found = samples(scrape(port))
            return all(
                found.get(tuple(name.split("__"))) == value for name, value in expected.items()
            )

        wait_until(ask, 30, str(expected))

    are(orders_ingested_total__stored=1, orders_consumer_lag_messages__0=0)
    postgres_door.shut()
    running.send(*(order(f"uid-{number}") for number in range(5)))
    are(orders_consumer_lag_messages__0=5, orders_dependency_up__store=0)
    found = samples(scrape(port))
    assert found["orders_store_failures_total",] > 0
    assert 0 < found["orders_consumer_oldest_message_age_seconds",] < 60
    running.stop("consumer")
    running.start("consumer", ORDERS_POSTGRES_DSN=dsn, ORDERS_CONSUMER_HEALTH_PORT=str(port))
    postgres_door.open()
    are(orders_ingested_total__stored=5, orders_consumer_lag_messages__0=0)


def test_all_that_dashboard_and_alerts_ask_for_is_there(running: System) -> None:
    health, consumer_health = free_port(), free_port()
    running.start_api(ORDERS_HTTP_WORKERS="2", ORDERS_HTTP_HEALTH_PORT=str(health))
    running.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=str(consumer_health))
    send_one_of_each(running)
    wait_for_outcomes(consumer_health)
    for uid in ("a", "a", "none"):
        running.http.get(f"/orders/{uid}")
    for port in (health, consumer_health):
        is_checked = partial(
            lambda p: ("orders_dependency_up", "redis") in samples(scrape(p)), port
        )
        wait_until(is_checked, 10, "dependencies are checked")
    labels: dict[str, set[str]] = defaultdict(lambda: set(TARGET_LABELS))
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for family in scrape(health) + scrape(consumer_health):
        for sample in family.samples:
            labels[sample.name] |= sample.labels.keys()
            for label, value in sample.labels.items():
                values[sample.name, label].add(value)
    labels |= OF_PROMETHEUS
    for query in queries():
        asked = metrics_in(query)
        assert asked <= labels.keys(), query
        assert query.named <= set().union(*(labels[name] for name in asked)), query
        for use in uses(query):
            assert use.label in labels[use.metric], query
            is_scraped = use.metric not in OF_PROMETHEUS and use.label not in TARGET_LABELS
            if is_scraped and use.value is not None and use.label != "status":
                assert use.value in values[use.metric, use.label], query


def send_one_of_each(running: System) -> None:
    """Seven messages with eight orders, of which three are good."""
    running.send(order("a"), order("a"), order("b"), order("a", entry="other"), b"{", b"")
    running.send(b"[" + order("c") + b"," + order("d", date_created=None) + b"]")


def wait_for_outcomes(port: int) -> dict[tuple[str, ...], float]:
    def ask() -> dict[tuple[str, ...], float] | None:
        found = samples(scrape(port))
        name = "orders_ingested_total"
        done = sum(value for key, value in found.items() if key[0] == name)
        return found if done == 8 else None

    return wait_until(ask, 30, "all are ingested")

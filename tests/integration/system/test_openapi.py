"""What /openapi.json of a running service shows is what that service answers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER, REQUEST_ID
from tests import http_examples
from tests.http_examples import MAX_BODY, Scenario
from tests.integration.system.processes import System, free_port, system
from tests.waiting import wait_until

NOWHERE = {
    "cache": {"ORDERS_REDIS_URL": "redis://127.0.0.1:{port}/0"},
    "database": {"ORDERS_POSTGRES_DSN": "postgresql://orders@127.0.0.1:{port}/orders"},
    "broker": {"ORDERS_KAFKA_BOOTSTRAP": "127.0.0.1:{port}"},
}


@contextmanager
def without(server: str, environment: dict[str, str], folder: Path) -> Iterator[System]:
    """A system whose settings lead to no such server."""
    changes = {name: text.format(port=free_port()) for name, text in NOWHERE[server].items()}
    more = {"ORDERS_HTTP_MAX_BODY": str(MAX_BODY)}
    with system(environment | changes | more, folder) as made:
        made.start_api() if server != "database" else made.start("api")
        made.wait_for_api(503 if server == "database" else 200)
        yield made


def document_of(running: System) -> dict[str, Any]:
    found: dict[str, Any] = running.http.get("/openapi.json").json()
    return found


def answers(
    running: System, document: dict[str, Any], scenarios: Sequence[Scenario]
) -> list[httpx.Response]:
    """All asked at once: with a server down, each takes until its timeout.

    Health is asked until it is as shown: what it has found out, and how, depends on the moment.
    """

    def ask(scenario: Scenario) -> httpx.Response:
        method, url, headers, content = http_examples.request(document, scenario)

        def answer() -> httpx.Response:
            return running.http.request(method, url, headers=headers, content=content)

        if scenario.operation == "ready":
            found: httpx.Response = wait_until(
                lambda: http_examples.as_shown(document, scenario, answer()),
                15,
                "health is as shown",
            )
            return found
        return answer()

    with ThreadPoolExecutor(len(scenarios)) as pool:
        return list(pool.map(ask, scenarios))


@pytest.fixture
def served(system_environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    """With an API that has no cache, since one response says so."""
    with without("cache", system_environment, tmp_path) as made:
        yield made


def test_answers_are_as_shown(served: System) -> None:
    document = document_of(served)
    scenarios = (
        *http_examples.ANSWERED,
        http_examples.AS_LINES,
        *http_examples.WITHOUT_CACHE,
    )
    absent = [scenario for scenario in scenarios if not scenario.stored]
    for scenario, answer in zip(absent, answers(served, document, absent), strict=True):
        http_examples.assert_as_shown(document, scenario, answer)
    served.start("consumer")
    served.send(encode(ORDER))
    served.order(ORDER.order_uid)
    assert served.stop("consumer") == 0  # so that what is sent from here on is not listed
    present = [scenario for scenario in scenarios if scenario.stored]
    for scenario, answer in zip(present, answers(served, document, present), strict=True):
        http_examples.assert_as_shown(document, scenario, answer)
    filtered = served.http.get(http_examples.with_every_filter(document))
    assert filtered.content == b"[" + encode(ORDER) + b"]"
    for name, (method, url) in http_examples.EVERYWHERE.items():
        headers = {"X-Request-ID": REQUEST_ID}
        answer = served.http.request(method, url, headers=headers)
        http_examples.assert_is_the_answer_everywhere(document, name, answer)


def test_a_damaged_order_is_as_shown(
    system_environment: dict[str, str], database_dsn: str, tmp_path: Path
) -> None:
    with system(system_environment | {"ORDERS_CACHE_LOCAL_BYTES": "0"}, tmp_path) as running:
        del running.environment["ORDERS_REDIS_URL"]
        running.start("consumer")
        running.start_api()
        running.send(encode(ORDER))
        running.order(ORDER.order_uid)
        with psycopg.connect(database_dsn) as connection:
            connection.execute("DELETE FROM payments")
        document = document_of(running)
        for _ in range(2):
            (answer,) = answers(running, document, [http_examples.DAMAGED])
            http_examples.assert_as_shown(document, http_examples.DAMAGED, answer)
        assert running.http.get("/orders").json() == []
        assert running.log("api").count('"event":"stored order is incomplete"') == 1
        assert "unforeseen error" not in running.log("api")


@pytest.mark.parametrize(
    ("server", "scenarios"),
    [
        ("database", http_examples.WITHOUT_DATABASE),
        ("broker", http_examples.WITHOUT_BROKER),
    ],
    ids=["database", "broker"],
)
def test_with_a_server_down_responses_are_as_documented(
    system_environment: dict[str, str],
    tmp_path: Path,
    server: str,
    scenarios: Sequence[Scenario],
) -> None:
    with without(server, system_environment, tmp_path) as running:
        document = document_of(running)
        for scenario, answer in zip(scenarios, answers(running, document, scenarios), strict=True):
            http_examples.assert_as_shown(document, scenario, answer)

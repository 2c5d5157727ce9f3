"""/docs in a browser: all of it comes from the service, and what it sends is really answered."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from orders.domain.document import encode
from orders.entrypoints.http.openapi.examples import ORDER, ORDER_JSON
from tests.integration.system.conftest import running, system_environment  # noqa: F401
from tests.integration.system.processes import System


class Reader:
    """Somebody at /docs, and what the browser asked for and complained about meanwhile."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )

    def open(self) -> None:
        self.page.goto(f"{self.base}/docs")
        expect(self.page.locator(".opblock").first).to_be_visible(timeout=20_000)

    def execute(self, tag: str, operation_id: str) -> tuple[int, Any]:
        """Open an operation and press its button; the status and the body as they are shown."""
        block = self.operation(tag, operation_id)
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table tr.response")
        expect(answer).to_be_visible(timeout=20_000)
        status = int(answer.locator(".response-col_status").inner_text().split()[0])
        return status, json.loads(
            answer.locator(".response-col_description code").first.inner_text()
        )

    def operation(self, tag: str, operation_id: str) -> Locator:
        return self.page.locator(f"#operations-{tag}-{operation_id}")


@pytest.fixture
def reader(page: Page, running: System) -> Reader:  # noqa: F811
    running.start("consumer")
    running.start_api()
    running.send(encode(ORDER))
    running.order(ORDER.order_uid)
    found = Reader(page, f"http://127.0.0.1:{running.port}")
    found.open()
    return found


def test_it_shows_every_operation_and_asks_no_other_host(
    reader: Reader,
    running: System,  # noqa: F811
) -> None:
    document = running.http.get("/openapi.json").json()
    told = [operation for item in document["paths"].values() for operation in item.values()]
    expect(reader.page.locator(".opblock")).to_have_count(len(told))
    for operation in told:
        block = reader.operation(operation["tags"][0], operation["operationId"])
        expect(block).to_contain_text(operation["summary"])
        block.locator(".opblock-summary-control").click()
        for status in operation["responses"]:
            shown = block.locator(f'.responses-table tr.response[data-code="{status}"]').first
            expect(shown).to_be_visible()
    expect(reader.page.locator(".info")).to_contain_text("unsupported-media-type")
    expect(reader.page.locator('.info a[href="/asyncapi.yaml"]')).to_be_visible()
    assert {urlsplit(url).netloc for url in reader.asked if not url.startswith("data:")} == {
        urlsplit(reader.base).netloc
    }
    assert f"{reader.base}/openapi.json" in reader.asked
    assert reader.complaints == []


def test_what_is_tried_is_really_answered(reader: Reader, running: System) -> None:  # noqa: F811
    assert reader.execute("orders", "getOrder") == (200, ORDER_JSON)
    assert f"{reader.base}/orders/{ORDER.order_uid}" in reader.asked

    assert reader.execute("orders", "listOrders") == (200, [ORDER_JSON])
    (asked,) = (url for url in reader.asked if urlsplit(url).path == "/orders")
    assert parse_qs(urlsplit(asked).query) == {"limit": ["20"]}  # no filter that nobody has set

    assert reader.execute("orders", "postOrders") == (202, {"order_uids": [ORDER.order_uid]})
    *_, sent = running.messages(running.topic, 2)
    assert sent.value() == encode(ORDER)

    status, made = reader.execute("random", "postRandom")
    assert (status, len(made)) == (200, 1)
    assert running.order(made[0]["order_uid"]).json() == made[0]
    assert reader.complaints == []

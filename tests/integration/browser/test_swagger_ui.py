"""/docs in a browser: all of it comes from the service, and what it sends is really answered."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, expect

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER, ORDER_JSON
from tests.integration.browser.browsing import Window
from tests.integration.system.processes import System


class Reader:
    """Somebody at /docs."""

    def __init__(self, window: Window) -> None:
        self.page = window.page
        self.base = window.url
        self.asked = window.requests

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
def reader(open_window: Callable[..., Window], running: System) -> Reader:
    running.start("consumer")
    running.start_api()
    running.send(encode(ORDER))
    running.order(ORDER.order_uid)
    found = Reader(open_window(f"http://127.0.0.1:{running.port}"))
    found.open()
    return found


def test_it_shows_every_operation(reader: Reader, running: System) -> None:
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
    assert f"{reader.base}/openapi.json" in reader.asked


def test_what_is_tried_is_really_answered(reader: Reader, running: System) -> None:
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

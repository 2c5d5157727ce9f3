"""The list of the latest orders: refreshed, paused, patient with a server that is down."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess
from tests.unit.http.harness import order

REFRESH_MS = 5000
LIST = re.compile(r"/orders\?view=summary&limit=8$")
HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
WITHOUT_TIMERS = f"""
const inMs = setTimeout;
globalThis.setTimeout = (call, ms) => (ms < {REFRESH_MS} ? inMs(call, ms) : 0);
"""
"""The list is not refreshed every so often, but by events alone."""


@pytest.fixture
def server(start: Callable[..., ServerProcess]) -> Any:
    """Of the test's own: the orders are counted."""
    with start() as running:
        yield running


@pytest.fixture
def page(window: Window) -> Page:
    """The page with its list filled, on a clock that the test turns."""
    window.page.clock.install()
    window.open()
    expect(window.page.locator("#latest li")).to_have_count(8)
    # Where it rests in a fresh window the pointer could lie on the list.
    window.page.mouse.move(0, 0)
    return window.page


def add(server: ServerProcess, uid: str, year: int = 2030) -> None:
    """Store it, as the newest."""
    newest = order(uid, date_created=ORDER.date_created.replace(year=year))
    assert server.http.post("/orders", content=encode(newest)).status_code == 202
    server.wait_until(lambda: server.http.get(f"/orders/{uid}").is_success, 10, "it is stored")


def refresh(page: Page, ms: int = REFRESH_MS) -> None:
    with page.expect_response(LIST):
        page.clock.fast_forward(ms)


def lists_asked_for(window: Window) -> int:
    return len([url for url in window.requests if url.endswith("/orders?view=summary&limit=8")])


def uids(page: Page) -> list[str]:
    return page.locator("#latest .value").all_text_contents()


def test_the_newest_is_first_and_the_oldest_goes(server: ServerProcess, page: Page) -> None:
    before = uids(page)
    add(server, "new")
    refresh(page)
    expect(page.locator("#latest li").first).to_contain_text("new")
    assert uids(page) == ["new", *before[:-1]]
    listed = [found["order_uid"] for found in httpx.get(f"{server.url}/orders?limit=8").json()]
    assert uids(page) == listed


def test_without_events_the_list_is_refreshed_all_the_same(
    server: ServerProcess, window: Window
) -> None:
    page = window.page
    page.route("**/orders/events", lambda route: route.fulfill(status=501))
    page.clock.install()
    with page.expect_response("**/orders/events"):
        window.open()
    expect(page.locator("#latest li")).to_have_count(8)
    expect(page.locator("#latest-note")).to_be_empty()
    add(server, "new")
    refresh(page)
    expect(page.locator("#latest li").first).to_contain_text("new")
    expect(page.locator("#announcer")).to_have_text("Новых заказов: 1+")


def test_the_keyboard_stays_where_it_is(server: ServerProcess, page: Page) -> None:
    held = page.locator("#latest a").nth(7)
    held.focus()
    name = held.locator(".value").text_content()
    for number in range(3):
        add(server, f"new {number}", 2030 + number)
    refresh(page)
    expect(page.locator("#latest li").first).to_contain_text("new 2")
    focused = page.locator("#latest a:focus .value")
    assert focused.text_content() == name
    page.locator("#order").focus()
    refresh(page)
    expect(page.locator("#latest li")).to_have_count(8)


def test_nothing_moves_under_the_pointer(server: ServerProcess, window: Window, page: Page) -> None:
    page.locator("#latest a").nth(3).hover()
    asked = lists_asked_for(window)
    page.clock.fast_forward(REFRESH_MS)
    page.clock.fast_forward(REFRESH_MS)
    assert lists_asked_for(window) == asked
    page.mouse.move(0, 0)
    refresh(page)


def test_it_can_be_paused(window: Window, page: Page) -> None:
    pause = page.get_by_role("button", name="Не обновлять список и не сообщать о новых заказах")
    pause.focus()
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    asked = lists_asked_for(window)
    page.clock.fast_forward(10 * REFRESH_MS)
    assert lists_asked_for(window) == asked
    page.reload()
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#latest li")).to_have_count(8)
    page.clock.fast_forward(10 * REFRESH_MS)
    assert lists_asked_for(window) == asked + 1
    with page.expect_response(LIST):
        pause.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.locator("#latest li")).to_have_count(8)
    expect(pause).to_have_attribute("aria-pressed", "false")


def test_without_storage_it_can_be_paused_too(window: Window) -> None:
    window.page.add_init_script(
        """Object.defineProperty(globalThis, "localStorage", {
             get() { throw new DOMException("denied", "SecurityError"); } })"""
    )
    page = window.open()
    expect(page.locator("#latest li")).to_have_count(8)
    page.locator("#latest-pause").click()
    expect(page.locator("#latest-pause")).to_have_attribute("aria-pressed", "true")


def test_nobody_is_asked_while_the_page_is_hidden(window: Window, page: Page) -> None:
    page.evaluate(HIDE, True)
    asked = lists_asked_for(window)
    page.clock.fast_forward(10 * REFRESH_MS)
    assert lists_asked_for(window) == asked
    with page.expect_response(LIST):
        page.evaluate(HIDE, False)


def test_a_server_that_is_away_is_asked_ever_more_seldom(
    server: ServerProcess, window: Window, page: Page
) -> None:
    server.stop()
    waits = []
    for _ in range(4):
        asked, waited = lists_asked_for(window), 0
        while lists_asked_for(window) == asked:
            page.clock.run_for(1000)
            waited += 1
        expect(page.locator("#latest-note")).to_have_text("Список не обновился, попробуем ещё раз.")
        waits.append(waited)
    assert uids(page)
    assert waits == sorted(waits)
    assert waits[-1] >= 3 * waits[0]


def test_after_an_outage_it_is_refreshed_as_usual(window: Window, page: Page) -> None:
    page.route(LIST, lambda route: route.abort())
    for _ in range(3):
        with page.expect_request(LIST):
            page.clock.fast_forward(60_000)
        expect(page.locator("#latest-note")).to_contain_text("Список не обновился")
    page.unroute(LIST)
    refresh(page, 60_000)
    expect(page.locator("#latest-note")).to_be_empty()
    page.clock.fast_forward(REFRESH_MS - 1000)
    asked = lists_asked_for(window)
    refresh(page, 1000)
    assert lists_asked_for(window) == asked + 1


def test_a_list_that_is_never_answered_is_given_up(window: Window, page: Page) -> None:
    unanswered: list[Route] = []
    page.route(LIST, lambda route: unanswered.append(route))
    with page.expect_request(LIST):
        page.clock.fast_forward(REFRESH_MS)
    page.clock.fast_forward(14_000)
    expect(page.locator("#latest-note")).to_be_empty()
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(1_000)
    expect(page.locator("#latest-note")).to_contain_text("Список не обновился")
    page.unroute(LIST)
    refresh(page, 2 * REFRESH_MS)
    expect(page.locator("#latest-note")).to_be_empty()
    assert len(unanswered) == 1


def test_a_new_order_appears_by_itself_and_is_announced(
    server: ServerProcess, window: Window
) -> None:
    page = window.page
    page.add_init_script(WITHOUT_TIMERS)
    with page.expect_response("**/orders/events"):
        window.open()
    expect(page.locator("#latest li")).to_have_count(8)
    page.mouse.move(0, 0)
    add(server, "appears")
    expect(page.locator("#latest li").first).to_have_attribute("data-uid", "appears")
    expect(page.locator("#announcer[role=status]")).to_have_text("Новых заказов: 1")


def stream(page: Page, count: int, retry_ms: int) -> None:
    """Answer for the stream of events: so many stored orders, and again after each pause."""
    event = 'event: stored\ndata: {"order_uid": "new", "date_created": "2030-01-01T00:00:00Z"}'
    body = "\n\n".join([f"retry: {retry_ms}", *[event] * count, ""])
    page.route(
        "**/orders/events", lambda route: route.fulfill(content_type="text/event-stream", body=body)
    )


def wait_for_streams(page: Page, count: int) -> None:
    for _ in range(count):
        page.wait_for_event("request", lambda one: one.url.endswith("/orders/events"))


def test_all_new_orders_are_counted_not_those_in_the_list(window: Window) -> None:
    stream(window.page, 12, retry_ms=600_000)
    window.open()
    expect(window.page.locator("#announcer")).to_have_text("Новых заказов: 12")


def test_one_refresh_at_a_time(window: Window) -> None:
    page = window.page
    unanswered: list[Route] = []
    page.route(LIST, lambda route: unanswered.append(route))
    stream(page, 1, retry_ms=100)
    window.open()
    wait_for_streams(page, 10)
    assert len(unanswered) == 1
    page.unroute(LIST)
    with page.expect_response(LIST):  # what came meanwhile is not forgotten
        unanswered[0].fulfill(body="[]")
    expect(page.locator("#latest li")).to_have_count(8)


def test_events_do_not_shorten_the_wait_after_a_failure(window: Window) -> None:
    window.page.route(LIST, lambda route: route.abort())
    stream(window.page, 1, retry_ms=100)
    window.open()
    wait_for_streams(window.page, 10)
    assert lists_asked_for(window) == 1


def test_a_list_that_is_paused_stays_as_it_is(
    server: ServerProcess, window: Window, page: Page
) -> None:
    page.locator("#latest-pause").click()
    asked = lists_asked_for(window)
    with page.expect_event("requestfinished", predicate=lambda one: "/orders/o" in one.url):
        add(server, "waits")
        page.evaluate("fetch('/orders/o1').then((answer) => answer.text())")
    page.clock.run_for(4000)
    assert lists_asked_for(window) == asked

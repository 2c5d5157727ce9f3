"""The list of all orders at an address of its own: pages, days, history, failures."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from orders.domain.order.document import encode
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess
from tests.unit.http.harness import order

LIST = re.compile(r"/orders\?view=summary&limit=50")


def by_twos(page: Page) -> None:
    """Make the pages small."""

    def shortened(route: Route) -> None:
        route.continue_(url=route.request.url.replace("limit=50", "limit=2"))

    page.route(LIST, shortened)


def uids(window: Window) -> list[str]:
    return window.result.locator("a > .value").all_text_contents()


def listed(server: ServerProcess, **filters: str) -> list[str]:
    answer = httpx.get(f"{server.url}/orders", params={"view": "summary", **filters})
    return [line["order_uid"] for line in answer.json()]


def shown(window: Window, title: str = "Все заказы") -> None:
    expect(window.heading).to_have_text(title)
    expect(window.result).to_have_attribute("aria-busy", "false")


def add(server: ServerProcess, *new: str, **fields: Any) -> None:
    """Store these, each newer than what is stored."""
    for number, uid in enumerate(new):
        instant = datetime(2030, 1, 1 + number, tzinfo=UTC)
        content = encode(order(uid, date_created=instant, **fields))
        assert server.http.post("/orders", content=content).status_code == 202
    server.wait_until(lambda: set(new) <= set(listed(server)), 10, "they are stored")


def test_all_orders_page_by_page_back_and_forward(window: Window, server: ServerProcess) -> None:
    every = listed(server)
    by_twos(window.page)
    page = window.open()
    page.get_by_role("link", name="Все заказы").click()
    shown(window)
    expect(page).to_have_title("Все заказы")
    expect(page.locator("#all")).to_have_attribute("aria-current", "page")
    expect(page.locator("#announcer")).to_have_text("Все заказы. Заказов на этой странице: 2")
    expect(window.heading).to_be_focused()
    assert uids(window) == every[:2]
    first, older = (page.get_by_role("link", name=name) for name in ("Новейшие", "Более старые"))
    expect(first).to_be_hidden()
    for start in (2, 4):
        older.press("Enter")
        expect(window.result.locator("a > .value").first).to_have_text(every[start])
        expect(window.heading).to_be_focused()
        assert uids(window) == every[start : start + 2]
    page.go_back()
    expect(window.result.locator("a > .value").first).to_have_text(every[2])
    page.go_forward()
    expect(window.result.locator("a > .value").first).to_have_text(every[4])
    page.reload()
    shown(window)
    assert uids(window) == every[4:6]
    window.result.locator(".orders a").first.press("Enter")
    expect(window.heading).to_contain_text("Заказ: ")
    expect(page.locator("#all")).not_to_have_attribute("aria-current", "page")
    page.go_back()
    shown(window)
    assert uids(window) == every[4:6]
    first.click()
    expect(window.result.locator("a > .value").first).to_have_text(every[0])
    expect(page).to_have_url(f"{window.url}/?list")


def test_the_last_page_leads_no_further(window: Window, server: ServerProcess) -> None:
    window.open(path="/?list")
    shown(window)
    assert uids(window) == listed(server)
    expect(window.result.get_by_role("link", name="Более старые")).to_be_hidden()


def test_days_are_those_of_the_reader(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    """From the first moment of the first day to the last of the last, in Moscow."""
    instants = {
        "before": datetime(2020, 2, 28, 20, 59, 59, 999999, UTC),
        "begin": datetime(2020, 2, 28, 21, 0, 0, 0, UTC),
        "end": datetime(2020, 3, 1, 20, 59, 59, 999999, UTC),
        "after": datetime(2020, 3, 1, 21, 0, 0, 0, UTC),
    }
    with start("empty") as server:
        for uid, instant in instants.items():
            content = encode(order(uid, date_created=instant))
            assert server.http.post("/orders", content=content).status_code == 202
        server.wait_until(lambda: len(listed(server)) == 4, 10, "all are stored")
        window = open_window(server.url)
        page = window.open(path="/?list")
        shown(window)
        page.get_by_label("С", exact=True).fill("2020-02-29")
        page.get_by_label("По", exact=True).fill("2020-03-01")
        page.get_by_label("По", exact=True).press("Enter")
        expect(window.result.locator("a > .value")).to_have_text(["end", "begin"])
        expect(page).to_have_url(f"{window.url}/?list&from=2020-02-29&to=2020-03-01")
        expect(page.get_by_label("С", exact=True)).to_have_value("2020-02-29")
        page.go_back()
        expect(window.result.locator("a > .value")).to_have_count(4)
        window.open(path="/?list&to=2020-02-28")
        expect(window.result.locator("a > .value")).to_have_text(["before"])
        window.open(path="/?list&from=2020-03-02")
        expect(window.result.locator("a > .value")).to_have_text(["after"])
        window.open(path="/?list&from=0001-01-01&to=9999-12-31")
        expect(window.result.locator("a > .value")).to_have_count(4)


def test_the_next_page_keeps_the_days(window: Window) -> None:
    by_twos(window.page)
    window.open(path="/?list&from=2000-01-01&to=2030-01-01")
    shown(window)
    window.result.get_by_role("link", name="Более старые").click()
    expect(window.page).to_have_url(re.compile("cursor="))
    shown(window)
    query = parse_qs(urlsplit(window.page.url).query, keep_blank_values=True)
    assert (query["from"], query["to"]) == (["2000-01-01"], ["2030-01-01"])
    window.page.locator("#switch").click()
    shown(window, "All orders")
    assert parse_qs(urlsplit(window.page.url).query, keep_blank_values=True) == query


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("from=2021-02-30", "неверная дата"),
        ("to=yesterday", "неверная дата"),
        ("from=12021-01-01", "неверная дата"),
        ("from=2021-01-02&to=2021-01-01", "Последний день раньше первого"),
    ],
)
def test_days_that_make_no_sense_can_be_mended(window: Window, days: str, said: str) -> None:
    page = window.open(path=f"/?list&{days}")
    fault = window.result.locator("#dates-fault[role=alert]")
    expect(fault).to_contain_text(said)
    assert not [url for url in window.requests if LIST.search(url)]
    page.get_by_label("С", exact=True).fill("2021-01-03")
    page.get_by_label("По", exact=True).fill("2021-01-02")
    page.get_by_role("button", name="Показать").click()
    expect(fault).to_contain_text("Последний день раньше первого")
    expect(page.get_by_label("По", exact=True)).to_be_focused()
    page.get_by_label("По", exact=True).fill("2021-01-03")
    page.get_by_role("button", name="Показать").click()
    expect(fault).to_be_empty()
    expect(page).to_have_url(f"{window.url}/?list&from=2021-01-03&to=2021-01-03")


@pytest.mark.parametrize("body", ["null", "{}", "<p>Hello"])
def test_what_is_no_list_is_not_shown_as_one(window: Window, body: str) -> None:
    window.page.route(LIST, lambda route: route.fulfill(body=body))
    window.open(path="/?list")
    expect(window.heading).to_have_text("Ответ не прочитать")


def test_a_list_that_fails_can_be_asked_for_again(window: Window) -> None:
    window.page.route(LIST, lambda route: route.abort())
    window.open(path="/?list")
    expect(window.heading).to_have_text("Сервер недоступен")
    expect(window.result.get_by_text("Найдётся ли заказ")).to_be_hidden()
    window.page.unroute(LIST)
    window.result.get_by_role("button", name="Повторить").press("Enter")
    shown(window)
    expect(window.heading).to_be_focused()


def test_an_order_is_searched_for_from_the_list(window: Window) -> None:
    page = window.open(path="/?list")
    shown(window)
    window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    expect(page).to_have_url(f"{window.url}/?order=o1")
    page.go_back()
    shown(window)
    expect(page.locator("#order")).to_have_value("")


def test_back_leads_to_the_opened_line_though_orders_arrive(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    with start() as server:
        window = open_window(server.url)
        by_twos(window.page)
        page = window.open(path="/?list")
        shown(window)
        before = uids(window)
        page.locator("#result .orders a").nth(1).press("Enter")
        expect(window.heading).to_contain_text("Заказ: ")
        add(server, "new 1", "new 2")
        page.go_back()
        shown(window)
        expect(page.locator("#result .orders a").nth(1)).to_be_focused()
        assert uids(window) == before
        page.reload()
        expect(window.result.locator("a > .value")).to_have_text(["new 2", "new 1"])


def test_new_orders_are_shown_on_demand(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    with start() as server:
        window = open_window(server.url)
        by_twos(window.page)
        with window.page.expect_response("**/orders/events"):
            page = window.open(path="/?list&customer_id=test&to=2030-01-02")
        title = "Заказы клиента test"
        shown(window, title)
        before = uids(window)
        new = window.result.get_by_role("link", name="Новых заказов")
        expect(new).to_be_hidden()
        add(server, "new 1", "new 2", "on a later day")
        add(server, "of another", customer_id="another")
        expect(new).to_have_text("Новых заказов: 2. Показать")
        expect(page.locator('#latest [data-uid="of another"]')).to_be_visible()
        expect(new).to_have_text("Новых заказов: 2. Показать")
        assert uids(window) == before
        new.press("Enter")
        expect(window.result.locator("a > .value")).to_have_text(["new 2", "new 1"])
        expect(new).to_be_hidden()
        expect(window.heading).to_be_focused()


@pytest.mark.parametrize(
    ("wrong", "name"), [("cursor=garbage", "cursor"), ("customer_id=%00", "customer_id")]
)
def test_a_wrong_address_of_a_list_leads_to_one_without_what_is_wrong(
    window: Window, wrong: str, name: str
) -> None:
    window.open(path=f"/?list&track_number=shared&{wrong}")
    expect(window.heading).to_have_text("Такого списка нет")
    expect(window.result).to_contain_text(f"Недопустимый параметр в адресе: {name}")
    expect(window.result.get_by_role("button")).to_have_count(0)
    window.result.get_by_role("link", name="Показать список без него").click()
    shown(window, "Заказы с трек-номером shared")
    expect(window.page).to_have_url(f"{window.url}/?list&track_number=shared")

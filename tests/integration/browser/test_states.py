"""Every state of the page, in both languages, at three widths: what it says, how it looks.

The pictures lie in test-artifacts/page.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Route, expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.browser.serving import BROKEN_OFF, CRASHING, LOST, REFUSED
from tests.integration.http.server_process import ServerProcess

LATEST = "**/orders?*limit=8"
RANDOM = "**/random/*"


class State(NamedTuple):
    """How a window gets there, and what it says then in Russian and in English."""

    reach: Callable[[Window], object]
    in_russian: str
    in_english: str


def search(order_uid: str) -> Callable[[Window], object]:
    return lambda window: (window.open(), window.find(order_uid))


def late(order_uid: str, *seconds: int) -> Callable[[Window], object]:
    def reach(window: Window) -> None:
        window.page.clock.install()
        window.open(order_uid)
        expect(window.result).to_have_attribute("aria-busy", "true")
        for each in seconds:
            window.page.clock.fast_forward(each * 1000)

    return reach


def make(amount: object) -> Callable[[Window], object]:
    def reach(window: Window) -> None:
        window.open()
        window.page.locator("#amount").fill(str(amount))
        window.page.keyboard.press("Enter")

    return reach


def answered(**answer: Any) -> Callable[[Window], object]:
    """As if this came from something between the page and the server."""
    return on_the_way("**/orders/o1", lambda route: route.fulfill(**answer), search("o1"))


def on_the_way(
    url: str, answer: Callable[[Route], object], reach: Callable[[Window], object]
) -> Callable[[Window], object]:
    """Get there with this answer in place of the server's."""
    return lambda window: (window.page.route(url, answer), reach(window))


def aborted(route: Route) -> None:
    route.abort()


def forbidden(route: Route) -> None:
    route.fulfill(status=403, body='{"code": "forbidden"}')


def many(route: Route) -> None:
    orders = [{"order_uid": f"one {i}", "date_created": "2021-11-26T06:22:19Z"} for i in range(25)]
    route.fulfill(body=json.dumps(orders))


def listing(
    filters: str = "", answer: Callable[[Route], object] | None = None
) -> Callable[[Window], object]:
    """All orders, with this answer in place of the server's if there is one."""

    def reach(window: Window) -> None:
        window.open(path=f"/?list{filters}")

    return on_the_way("**/orders?*limit=50*", answer, reach) if answer else reach


def older(window: Window) -> None:
    listing(answer=lambda route: route.continue_(url=route.request.url.replace("=50", "=2")))(
        window
    )
    window.result.locator("[data-if=next]").click()
    expect(window.result.locator("[data-if=first]")).to_be_visible()


def copying(window: Window) -> None:
    window.page.clock.install()  # the label does not come back meanwhile
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.open(stock.REFERENCE)
    window.result.locator("[data-copy=json]").click()


def with_a_zero_byte(window: Window) -> None:
    window.open()
    window.page.locator("#order").evaluate("(field) => { field.value = 'a\\0b'; }")
    window.page.locator("#order").press("Enter")


def without_its_script(window: Window) -> None:
    window.page.route("**/assets/page.*.js", lambda route: route.abort())
    window.open()
    told = window.result.locator(".belated")
    expect(told).to_be_hidden()
    appearing = told.evaluate_handle("(one) => one.getAnimations()[0]")
    appearing.evaluate("(one) => one.pause()")
    for ms, is_visible in ((3999, False), (4000, True)):
        appearing.evaluate("(one, ms) => { one.currentTime = ms; }", ms)
        expect(told).to_be_visible(visible=is_visible)


def with_json(window: Window) -> None:
    window.open(stock.REFERENCE)
    window.result.locator("summary").click()


def made_and_lost(window: Window) -> None:
    window.page.clock.install()
    make(LOST)(window)
    with window.page.expect_response(lambda answer: answer.status == 404):
        window.page.locator("#made a").first.click()
    window.page.clock.fast_forward(10_000)


PAGE = {
    "empty": State(
        Window.open,
        "// Введите ID заказа, трек-номер или ID клиента и нажмите Enter для поиска",
        "// Type an order ID, a track number or a customer ID and press Enter to search",
    ),
    "loading": State(search("slow"), "Ищем заказ", "Looking for the order"),
    "slow": State(late("slow", 4), "Сервер отвечает медленно", "The server is slow"),
    "timeout": State(late("slow", 4, 12), "Сервер не ответил вовремя", "No answer in time"),
    "found": State(search(stock.REFERENCE), "Заказ: b563feb7b2b84b6test", "Order: b563"),
    "found-russian": State(search("заказ-7"), "Заказ: заказ-7", "Order: заказ-7"),
    "found-empty-fields": State(search("empty"), "(пусто)", "(empty)"),
    "found-long": State(search("long"), "Заказ: long", "Order: long"),
    "found-markup": State(search(stock.MARKUP), "<script>", "<script>"),
    "found-200-items": State(search("200 items"), "Товары [200]", "Items [200]"),
    "found-big-numbers": State(search("big numbers"), "-9223372036854775808", "-922337203"),
    "json": State(with_json, '"date_created": "2021-11-26T06:22:19Z"', '"sm_id": 99'),
    "found-shared": State(search(stock.SHARED), "См. также: Заказы клиента", "See also: Orders of"),
    "matches": State(search("alike"), "По трек-номеру", "By track number"),
    "matches-long": State(search(stock.LONG_ORDER.track_number), "По ID клиента", "By customer ID"),
    "found-track": State(search("ТРЕК-2021"), "Найден по трек-номеру", "Found by track number"),
    "list-track": State(search("WBILMTESTTRACK"), "Заказы с трек-номером WB", "Orders with track"),
    "list-customer": State(search("test"), "Заказы клиента test", "Orders of customer test"),
    "list": State(listing(), "Заказов на этой странице: ", "Orders on this page: "),
    "list-empty": State(listing("&to=1999-12-31"), "Заказов не нашлось", "No orders found"),
    "list-invalid": State(listing("&to=x"), "неверная дата", "an invalid date"),
    "list-loading": State(listing(answer=lambda route: None), "Загружаем заказы", "Loading orders"),
    "list-backwards": State(
        listing("&from=2021-01-02&to=2021-01-01"), "раньше первого", "before the first"
    ),
    "list-pages": State(older, "Новейшие", "Newest"),
    "list-forbidden": State(listing(answer=forbidden), "Ключу этого сеанса", "key of this session"),
    "list-wrong": State(listing("&cursor=x"), "в адресе: cursor", "in the address: cursor"),
    "list-failed": State(
        listing(answer=lambda route: route.fulfill(status=500)), "Код ответа: 500", "Status 500"
    ),
    "list-storage": State(
        listing(answer=lambda route: route.fulfill(status=503, body='{"code": "unavailable"}')),
        "База данных недоступна",
        "The database is down",
    ),
    "list-overloaded": State(
        listing(answer=lambda route: route.fulfill(status=503, body='{"code": "overloaded"}')),
        "Сервер перегружен",
        "The server is busy",
    ),
    "missing": State(search("nope"), "Заказ не найден", "Order not found"),
    "missing-spaces": State(search(" nope "), "Искать без пробелов", "without the spaces"),
    "storage": State(search("away"), "База данных недоступна", "The database is down"),
    "failed": State(search("broken"), "Код ответа: 500", "Status 500"),
    "failed-elsewhere": State(
        answered(status=503, body="<h1>503</h1>"), "Код ответа: 503", "Status 503"
    ),
    "forbidden": State(
        on_the_way("**/orders/o1", forbidden, search("o1")),
        "Ключу этого сеанса это не разрешено",
        "The key of this session does not allow this",
    ),
    "unreadable": State(answered(body="null"), "Ответ не прочитать", "cannot be read"),
    "unreadable-html": State(
        answered(body="<p>Hello", content_type="text/html"), "В ответе не заказ", "is not an order"
    ),
    "broken-off": State(search(BROKEN_OFF), "Он не ответил", "It did not respond"),
    "script-failed": State(without_its_script, "Скрипт страницы не загр", "script of this page"),
    "invalid-blank": State(search("  "), "Введите ID или номер", "Enter an ID or number"),
    "invalid-long": State(search("u" * 256), "здесь их 256", "this has 256"),
    "invalid-text": State(with_a_zero_byte, "недопустимый символ", "character that is not allowed"),
    "copied": State(copying, "Скопировано", "Copied"),
    "latest-loading": State(
        on_the_way(LATEST, lambda route: None, Window.open), "Загружаем список", "Loading the list"
    ),
    "latest-unreachable": State(
        on_the_way(LATEST, aborted, Window.open), "Список не обновился", "list was not refreshed"
    ),
    "latest-forbidden": State(
        on_the_way(LATEST, forbidden, Window.open), "Нет прав", "Not allowed"
    ),
    "random": State(make(3), "Создано заказов: 3", "Orders made: 3"),
    "random-invalid": State(make("007"), "целое число от 1 до 20", "whole number from 1 to 20"),
    "random-storage": State(make(REFUSED), "Очередь недоступна", "The queue is down"),
    "random-many": State(on_the_way(RANDOM, many, make(20)), "Первые 20:", "The first 20:"),
    "random-working": State(on_the_way(RANDOM, lambda route: None, make(3)), "Создаём…", "Making…"),
    "random-unreachable": State(
        on_the_way(RANDOM, aborted, make(3)), "Сервер не ответил, и", "server did not answer, so"
    ),
    "random-forbidden": State(
        on_the_way(RANDOM, forbidden, make(3)), "отправлять заказы", "may not send orders"
    ),
    "random-failed": State(make(CRASHING), "ошибкой 500", "error 500"),
    "pending": State(made_and_lost, "Заказ ещё в пути", "on its way"),
}
ERRORS = {
    "error-404": State(lambda w: w.open(path="/nope"), "Страница не найдена", "Page not found"),
    "error-404-order": State(
        lambda w: w.open(path="/orders/nope"), "Заказа с таким ID нет", "no order with this ID"
    ),
    "error-400-random": State(
        lambda w: w.open(path="/random/0"), "число от 1 до 20", "number from 1 to 20"
    ),
    "error-400": State(lambda w: w.open(path="/orders?limit=x"), "Неверный запрос", "Bad request"),
    "error-500": State(
        lambda w: w.open(path="/orders/broken"), "Ошибка на сервере", "Server error"
    ),
    "error-503": State(lambda w: w.open(path="/orders/away"), "Временно недоступно", "Temporarily"),
}


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("name", [*PAGE, *ERRORS])
def test_state(
    server: ServerProcess, open_window: Callable[..., Window], name: str, language: str
) -> None:
    state = (PAGE | ERRORS)[name]
    window = open_window(server.url, language)
    state.reach(window)
    said = state.in_russian if language == "ru" else state.in_english
    expect(window.page.locator("body")).to_contain_text(said, timeout=15_000)
    expect(window.page.locator("html")).to_have_attribute("lang", language)
    if language == "ru":
        window.picture(name)
        assert window.faults_of_access() == []
    else:  # the same elements in words of other lengths
        window.picture(name, (320, 1920))


IN_LIGHT = (
    *("empty", "found", "found-shared", "matches", "list", "list-pages", "list-invalid", "missing"),
    *("pending", "storage", "random", "random-invalid", "latest-unreachable"),
)


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("name", [*IN_LIGHT, "error-404"])
def test_in_light(
    server: ServerProcess, open_window: Callable[..., Window], name: str, language: str
) -> None:
    state = (PAGE | ERRORS)[name]
    window = open_window(server.url, language, color_scheme="light")
    state.reach(window)
    said = state.in_russian if language == "ru" else state.in_english
    expect(window.page.locator("body")).to_contain_text(said)
    expect(window.page.locator("body")).to_have_css("background-color", "rgb(238, 245, 234)")
    window.picture(f"light-{name}", (320, 1920))
    assert window.faults_of_access() == []


@pytest.mark.parametrize("body", ["", "7", "[]", "{}", '{"items": {}}'])
def test_what_is_no_order_is_not_shown_as_one(window: Window, body: str) -> None:
    answered(body=body)(window)
    expect(window.heading).to_have_text("Ответ не прочитать")


def test_an_answer_from_elsewhere_has_no_request_id(window: Window) -> None:
    answered(status=503, body="<h1>503</h1>")(window)
    expect(window.heading).to_have_text("Сервер ответил ошибкой")
    expect(window.result.locator("[data-if=request_id]")).to_be_hidden()
    window.find("broken")
    expect(window.result.locator("[data-if=request_id] .value")).not_to_be_empty()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_script_that_does_not_come_is_missed_in_time(
    server: ServerProcess, open_window: Callable[..., Window], motion: str
) -> None:
    without_its_script(open_window(server.url, reduced_motion=motion))


@pytest.mark.parametrize("language", ["ru", "en"])
def test_no_orders_at_all(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window], language: str
) -> None:
    with start("empty") as server:
        window = open_window(server.url, language)
        window.open()
        said = {"ru": "Заказов пока нет", "en": "No orders yet"}[language]
        expect(window.page.locator("#latest-note")).to_contain_text(said)
        expect(window.result.get_by_role("button")).to_be_visible()
        window.picture("no-orders", (320, 1920))
        assert window.faults_of_access() == []


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_server_is_away_and_comes_back(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window], language: str
) -> None:
    with start() as server:
        window = open_window(server.url, language)
        window.open()
        assert server.stop() == 0
        window.find(stock.REFERENCE)
        said = {"ru": "Сервер недоступен", "en": "The server is unreachable"}[language]
        expect(window.heading).to_have_text(said)
        window.picture("away")
        assert window.faults_of_access() == []
    with start(port=server.port):
        window.result.locator("[data-retry]").click()
        expect(window.heading).to_contain_text(stock.REFERENCE)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_without_script_the_page_leads_to_the_api(
    server: ServerProcess, open_window: Callable[..., Window], language: str
) -> None:
    window = open_window(server.url, language, java_script_enabled=False)
    page = window.open()
    page.locator("#order").fill("<b>/ё")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?order=*")
    expect(page.locator("#order")).to_have_value("<b>/ё")
    expect(page.get_by_role("link", name="/orders/%3Cb%3E%2F%D1%91")).to_be_visible()
    expect(page.locator("aside")).to_be_hidden()
    window.picture("no-script")

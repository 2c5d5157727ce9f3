"""Looking orders up: addresses, history, keyboard, any uid."""

import json
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import httpx
import pytest
from playwright.sync_api import Error, Locator, Page, expect

from orders.domain.order.document import encode
from orders.domain.order.rules import INT64_MAX
from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess
from tests.unit.http.harness import order


def uid_asked_for(page: Page) -> str:
    return unquote(page.url.partition("?order=")[2])


def fields(window: Window) -> dict[str, str]:
    """What is shown, by its label."""
    names, values = (window.result.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def test_an_order_by_its_address(window: Window) -> None:
    page = window.open(stock.REFERENCE)
    expect(window.heading).to_have_text(f"Заказ: {stock.REFERENCE}")
    expect(page).to_have_title(f"Заказ {stock.REFERENCE}")
    expect(page.locator("#order")).to_have_value(stock.REFERENCE)
    expect(window.result.locator(".badge")).to_have_text("WBILMTESTTRACK")
    said = fields(window)
    assert said["Дата создания"].startswith("26 ноября 2021 г.")
    assert "09:22:19" in said["Дата создания"]
    assert (said["Имя"], said["Адрес"]) == ("Test Testov", "Ploshad Mira 15")
    assert (said["Сумма"], said["Подпись"]) == ("1\xa0817,00\xa0$", "(пусто)")
    assert window.result.locator("th").all_text_contents() == [
        "Товар",
        "Бренд",
        "Цена",
        "Размер",
        "Статус",
    ]
    cells = window.result.locator("td").all_inner_texts()
    assert cells == ["Mascaras", "Vivienne Sabo", "453,00\xa0$", "0", "202"]
    when = window.result.locator("time").first
    expect(when).to_have_attribute("title", "2021-11-26T06:22:19Z")


def test_the_date_is_in_the_readers_language(
    server: ServerProcess, open_window: Callable[..., Window]
) -> None:
    window = open_window(server.url, "en")
    window.open(stock.REFERENCE)
    expect(window.result.locator("time").first).to_contain_text("26 November 2021")


def test_back_and_forward(window: Window) -> None:
    page = window.open()
    window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    assert uid_asked_for(page) == "o1"
    window.find("nope")
    expect(window.heading).to_contain_text("Заказ не найден")
    window.find("o2")
    expect(window.heading).to_have_text("Заказ: o2")
    page.go_back()
    expect(window.heading).to_contain_text("Заказ не найден")
    page.go_back()
    expect(window.heading).to_have_text("Заказ: o1")
    expect(page.locator("#order")).to_have_value("o1")
    page.go_back()
    expect(window.heading).to_have_text("Готов к поиску")
    expect(page.locator("#order")).to_have_value("")
    expect(page).to_have_title("Заказы")
    page.go_forward()
    page.go_forward()
    page.go_forward()
    expect(window.heading).to_have_text("Заказ: o2")
    expect(page).to_have_title("Заказ o2")


def test_the_same_search_again_is_no_step_in_history(window: Window) -> None:
    page = window.open()
    window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    with page.expect_response("**/orders/o1"):
        window.find("o1")
    page.go_back()
    expect(window.heading).to_have_text("Готов к поиску")


def test_invalid_input_asks_nothing_of_the_server(window: Window) -> None:
    page = window.open()
    for wrong in ("", "   ", "u" * 256, "a\0b"):
        page.locator("#order").evaluate("(field, text) => { field.value = text; }", wrong)
        page.locator("#order").press("Enter")
        expect(page.locator("#search-fault")).not_to_be_empty()
        expect(page.locator("#order")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#order")).to_be_focused()
    assert not window.orders_asked_for
    window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    expect(page.locator("#search-fault")).to_be_empty()


@pytest.mark.parametrize(
    ("uid", "said"), [("  ", "Введите ID или номер"), ("u" * 300, "здесь их 300")]
)
def test_what_is_invalid_in_an_address_can_be_mended(window: Window, uid: str, said: str) -> None:
    page = window.open(uid)
    expect(page.locator("#search-fault")).to_contain_text(said)
    expect(page.locator("#order")).to_have_value(uid)
    expect(page.locator("#order")).to_have_attribute("aria-invalid", "true")
    expect(window.heading).to_have_text("Готов к поиску")
    expect(page.locator("#latest li")).to_have_count(8)
    assert not window.orders_asked_for


def test_a_line_break_in_an_address_is_searched_for_again(window: Window) -> None:
    """The box cannot hold it."""
    uid = "line\nbreak\ttab"
    page = window.open(uid)
    expect(window.heading.locator(".value")).to_be_attached()
    page.locator("#order").focus()
    with page.expect_response("**/orders/line%0Abreak%09tab") as answer:
        page.keyboard.press("Enter")
    assert answer.value.status == 200
    expect(window.result).to_have_attribute("aria-busy", "false")
    assert window.heading.locator(".value").text_content() == uid
    assert uid_asked_for(page) == uid


def test_any_uid_by_its_address(window: Window) -> None:
    for uid in stock.STRANGE_UIDS:
        page = window.open(uid)
        expect(window.heading).to_contain_text("Заказ: ")
        assert window.heading.locator(".value").text_content() == uid
        assert uid_asked_for(page) == uid
        link = window.result.locator("[data-api]").get_attribute("href")
        found = page.request.get(f"{window.url}{link}").json()
        assert (found if isinstance(found, dict) else found[0])["order_uid"] == uid


def test_any_uid_that_can_be_typed(window: Window) -> None:
    page = window.open()
    for uid in stock.STRANGE_UIDS:
        if "\n" not in uid:
            window.find(uid)
            expect(window.result).to_have_attribute("aria-busy", "false")
            expect(window.heading.locator(".value")).to_be_attached()
            assert window.heading.locator(".value").text_content() == uid
            assert uid_asked_for(page) == uid


def test_uids_that_nobody_has(window: Window) -> None:
    for uid in ("...", "%2e", "никто", "'"):
        window.open(uid)
        expect(window.heading).to_have_text(f"Заказ не найден: {uid}")


def test_spaces_around_are_left_out_on_demand(window: Window) -> None:
    page = window.open()
    window.find(" o1 ")
    expect(window.heading).to_contain_text("Заказ не найден")
    window.result.get_by_role("link", name="Искать без пробелов").click()
    expect(window.heading).to_have_text("Заказ: o1")
    assert uid_asked_for(page) == "o1"


def test_all_of_64_bits(window: Window) -> None:
    window.open("big numbers")
    expect(window.heading).to_have_text("Заказ: big numbers")
    said = fields(window)
    assert said["Сумма"].replace("\xa0", " ") == "9 223 372 036 854 775 807,00 $"
    assert said["Стоимость доставки"].replace("\xa0", " ") == "9 007 199 254 740 993,00 $"
    assert said["Стоимость товаров"].replace("\xa0", " ") == "999 999 999 999 999,00 $"
    assert said["Дата оплаты"] == str(INT64_MAX)
    cells = window.result.locator("td").all_inner_texts()
    assert (cells[2], cells[-1]) == (said["Сумма"], str(-INT64_MAX - 1))
    window.result.locator("summary").click()
    raw = window.result.locator(".raw")
    expect(raw).to_contain_text(f'"amount": {INT64_MAX},')
    expect(raw).to_contain_text(
        r'"entry": "digits in a text stay: \"1234567890123456789\" \\\" 12345'
    )


def test_the_json_is_the_one_that_is_served(window: Window) -> None:
    page = window.open(stock.MARKUP)
    window.result.locator("summary").click()
    raw = window.result.locator(".raw")
    expect(raw).not_to_be_empty()  # it is filled when the browser has opened the details
    shown = raw.text_content()
    served = page.request.get(f"/orders/{quote(stock.MARKUP, safe='')}").json()
    assert json.loads(shown or "") == served


def test_200_items_are_there_at_once(window: Window) -> None:
    page = window.open()
    page.evaluate("""() => {
      window.longest = 0;
      new PerformanceObserver((list) => {
        const tasks = list.getEntries().map((task) => task.duration);
        window.longest = Math.max(window.longest, ...tasks);
      }).observe({ type: "longtask" });
    }""")
    window.find("200 items")
    expect(window.result.locator("tbody tr")).to_have_count(200)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
    assert page.evaluate("() => window.longest") < 1000


def test_a_link_opens_in_another_tab_as_links_do(window: Window) -> None:
    page = window.open()
    with window.context.expect_page() as opened:
        page.locator("#latest a").first.click(modifiers=["ControlOrMeta"])
    expect(opened.value.locator("#result h2 .value")).not_to_be_empty()
    expect(window.heading).to_have_text("Готов к поиску")


def test_the_language_switch_keeps_the_order_and_is_remembered(window: Window) -> None:
    page = window.open()
    window.find("a/b//c")
    expect(window.heading).to_have_text("Заказ: a/b//c")
    page.locator("#switch").click()
    expect(window.heading).to_have_text("Order: a/b//c")
    assert uid_asked_for(page) == "a/b//c"
    window.open(path="/nope")
    expect(page.locator("h1")).to_have_text("Page not found")
    window.open()
    expect(page.locator("h1")).to_have_text("Order search")
    page.locator("#switch").click()
    expect(page.locator("h1")).to_have_text("Поиск заказа")


def test_the_server_ends_while_it_answers(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    with start() as server:
        window = open_window(server.url)
        window.open("slow")
        expect(window.result).to_have_attribute("aria-busy", "true")
        server.stop()
        expect(window.heading).to_have_text("Сервер недоступен", timeout=15_000)
    with pytest.raises(Error):
        window.page.request.get(server.url)


def links(window: Window) -> Locator:
    return window.result.locator(".orders a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ТРЕК-2021", "Найден по трек-номеру ТРЕК-2021"),
        ("c", "Найден по ID клиента c, других его заказов нет"),
    ],
)
def test_the_only_order_is_shown_at_once(window: Window, text: str, said: str) -> None:
    uid = {"ТРЕК-2021": "заказ-7", "c": "empty"}[text]
    page = window.open()
    page.keyboard.type(text)  # the box has the focus
    page.keyboard.press("Enter")
    expect(window.heading).to_have_text(f"Заказ: {uid}")
    expect(window.result.get_by_text(said)).to_be_visible()
    expect(page.locator("#announcer")).to_have_text(f"Заказ найден: {uid}. {said}")
    expect(page.locator("#order")).to_be_focused()
    expect(page.locator("#order")).to_have_value(text)
    assert uid_asked_for(page) == text
    page.reload()
    expect(window.heading).to_have_text(f"Заказ: {uid}")
    window.open(uid)
    expect(window.heading).to_have_text(f"Заказ: {uid}")
    expect(window.result.get_by_text("Найден по")).to_have_count(0)


def test_a_track_number_that_names_another_route(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    with start("empty") as server:
        content = encode(order("tracked", track_number="events"))
        assert server.http.post("/orders", content=content).status_code == 202
        server.wait_until(lambda: server.http.get("/orders/tracked").is_success, 10, "it is stored")
        window = open_window(server.url)
        window.open("events")
        expect(window.heading).to_have_text("Заказ: tracked")


def test_orders_with_a_track_number(window: Window) -> None:
    page = window.open()
    window.find("WBILMTESTTRACK")
    title = "Заказы с трек-номером WBILMTESTTRACK"
    expect(window.heading).to_have_text(title)
    expect(page).to_have_title(title)
    expect(links(window).first).to_contain_text("ID клиента: test")
    said = f"{title}. Заказов на этой странице: {links(window).count()}"
    expect(page.locator("#announcer")).to_have_text(said)
    expect(page.locator("#order")).to_be_focused()
    expect(page.locator("#order")).to_have_value("WBILMTESTTRACK")
    page.keyboard.press("Enter")
    expect(window.result).to_have_attribute("aria-busy", "false")
    links(window).nth(3).press("Enter")
    expect(window.heading).to_contain_text("Заказ: ")
    page.go_back()
    expect(window.heading).to_have_text(title)
    expect(links(window).nth(3)).to_be_focused()
    page.go_back()
    expect(window.heading).to_have_text("Готов к поиску")


def test_all_orders_of_a_customer_by_pages(window: Window, server: ServerProcess) -> None:
    window.page.route(
        re.compile(r"limit=50"),
        lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=2")),
    )
    listed = httpx.get(f"{server.url}/orders?view=summary&limit=1000&customer_id=test").json()
    every = [line["order_uid"] for line in listed]
    page = window.open("test")
    expect(window.heading).to_have_text("Заказы клиента test")
    expect(page.locator("#all")).not_to_have_attribute("aria-current", "page")
    expect(links(window).locator(".value").first).to_have_text(every[0])
    older = window.result.get_by_role("link", name="Более старые")
    older.press("Enter")
    expect(links(window).locator(".value").first).to_have_text(every[2])
    links(window).nth(1).click()
    expect(window.heading).to_contain_text("Заказ: ")
    page.go_back()
    expect(links(window).nth(1)).to_be_focused()
    assert links(window).locator(".value").all_text_contents() == every[2:4]
    page.reload()
    expect(links(window).locator(".value").first).to_have_text(every[2])
    page.locator("#switch").click()
    expect(window.heading).to_have_text("Orders of customer test")
    expect(links(window).locator(".value").first).to_have_text(every[2])
    window.result.get_by_role("link", name="Newest").click()
    expect(links(window).locator(".value").first).to_have_text(every[0])


def test_an_order_leads_to_those_of_its_customer(window: Window) -> None:
    window.open("bought-1")
    window.result.get_by_role("link", name="shared").press("Enter")
    expect(window.heading).to_have_text("Заказы клиента shared")
    expect(links(window).locator(".value")).to_have_text(["bought-2", "bought-1", "bought-0"])


def test_orders_of_a_customer_on_some_days(window: Window) -> None:
    page = window.open("test")
    page.get_by_label("По", exact=True).fill("2021-01-01")
    page.get_by_label("По", exact=True).press("Enter")
    expect(links(window).locator(".value")).to_have_text([f"o{i}" for i in reversed(range(8))])
    expect(window.heading).to_have_text("Заказы клиента test")
    expect(page).to_have_url(f"{window.url}/?list&customer_id=test&to=2021-01-01")


def test_a_track_number_that_is_a_customer_id_too(window: Window) -> None:
    page = window.open("alike")
    expect(window.heading).to_have_text("Найдено по запросу alike")
    for name, uid, heading in (
        ("По трек-номеру", "tracked-alike", "Заказы с трек-номером alike"),
        ("По ID клиента", "bought-alike", "Заказы клиента alike"),
    ):
        section = window.result.get_by_role("region", name=name)
        expect(section.locator(".orders a > .value")).to_have_text([uid])
        section.get_by_role("link", name="Показать все").press("Enter")
        expect(window.heading).to_have_text(heading)
        expect(links(window).locator(".value")).to_have_text([uid])
        page.go_back()
        expect(window.heading).to_have_text("Найдено по запросу alike")


def test_an_order_whose_id_means_other_orders_too(window: Window) -> None:
    page = window.open()
    window.find(stock.SHARED)
    expect(window.heading).to_have_text(f"Заказ: {stock.SHARED}")
    expect(page.locator("#announcer")).to_have_text(
        f"Заказ найден: {stock.SHARED}. См. также: Заказы с трек-номером shared. "
        "См. также: Заказы клиента shared"
    )
    expect(page.locator("#order")).to_be_focused()
    for name, uids in (
        ("Заказы с трек-номером shared", ["tracked-1", "tracked-0"]),
        ("Заказы клиента shared", ["bought-2", "bought-1", "bought-0"]),
    ):
        window.result.get_by_role("link", name=name).press("Enter")
        expect(links(window).locator(".value")).to_have_text(uids)
        expect(window.heading).to_have_text(name)
        expect(window.heading).to_be_focused()
        page.go_back()
        expect(window.heading).to_have_text(f"Заказ: {stock.SHARED}")
    window.open("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    expect(window.result.locator("[data-also]").filter(visible=True)).to_have_count(0)


def test_an_order_is_shown_whatever_else_its_id_means(window: Window) -> None:
    with window.page.expect_request(re.compile("customer_id=shared")):
        window.page.route(re.compile("customer_id=shared"), lambda route: route.abort())
        window.open(stock.SHARED)
    expect(window.heading).to_have_text(f"Заказ: {stock.SHARED}")
    expect(window.result.locator("[data-also=track_number]")).to_be_visible()


def test_a_search_that_fails_is_not_called_missing(window: Window) -> None:
    window.page.route(re.compile("customer_id=nope"), lambda route: route.abort())
    window.open("nope")
    expect(window.heading).to_have_text("Сервер недоступен")

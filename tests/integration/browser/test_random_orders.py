"""Random orders by a button, and what becomes of them."""

import json
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.integration.browser.browsing import Window
from tests.integration.browser.serving import LOST
from tests.integration.http.server_process import ServerProcess


def test_they_are_made_and_lead_to_themselves(window: Window) -> None:
    page = window.open()
    page.locator("#amount").fill("3")
    with page.expect_response("**/random/3") as answer:
        page.get_by_role("button", name="Создать").click()
    assert answer.value.request.method == "POST"
    made = [order["order_uid"] for order in answer.value.json()]
    expect(page.locator("#made a")).to_have_count(3)
    assert page.locator("#made .value").all_text_contents() == made
    expect(page.get_by_role("status").filter(has_text="Создано заказов: 3")).to_be_visible()
    # As if it were not stored yet: the page asks until it is.
    page.route(f"**/orders/{made[1]}", lambda route: route.fulfill(status=404), times=1)
    with page.expect_response(lambda answer: made[1] in answer.url and answer.status == 404):
        page.locator("#made a").nth(1).click()
    expect(window.heading).to_have_text(f"Заказ: {made[1]}")
    expect(window.heading).to_be_focused()
    expect(page.locator("#latest")).to_contain_text(made[0])


def test_without_orders_the_page_offers_to_make_some(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window]
) -> None:
    with start("empty") as server:
        window = open_window(server.url)
        page = window.open()
        offer = window.result.get_by_role("button", name="Создать случайные заказы")
        offer.press("Enter")
        expect(page.locator("#made a").first).to_be_focused()
        expect(offer).to_be_hidden()
        expect(page.locator("#latest a")).to_have_count(5)
        page.keyboard.press("Enter")
        expect(window.heading).to_contain_text("Заказ: ")
        page.go_back()
        expect(window.heading).to_have_text("Готов к поиску")
        expect(offer).to_be_hidden()


def test_one_that_does_not_arrive_is_not_called_missing(window: Window) -> None:
    window.page.clock.install()
    page = window.open()
    page.locator("#amount").fill(str(LOST))
    page.keyboard.press("Enter")
    with page.expect_response(lambda answer: answer.status == 404):
        page.locator("#made a").first.click()
    expect(window.result).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(10_000)
    expect(window.heading).to_have_text("Заказ ещё в пути")
    expect(window.result.get_by_role("alert")).to_be_visible()


def test_a_wrong_amount_is_not_sent(window: Window) -> None:
    page = window.open()
    for wrong in ("0", "21", "007", "-1", "1.5", "1e1", "пять", "", "٥"):
        page.locator("#amount").fill(wrong)
        page.keyboard.press("Enter")
        expect(page.locator("#random-fault")).to_have_text("Введите целое число от 1 до 20.")
        expect(page.locator("#amount")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#amount")).to_be_focused()
    assert not [url for url in window.requests if "/random/" in url]
    page.locator("#amount").fill(" 20 ")
    page.keyboard.press("Enter")
    expect(page.locator("#made a")).to_have_count(20)
    expect(page.locator("#random-fault")).to_be_empty()


def test_two_presses_are_one_wish(window: Window) -> None:
    page = window.open()
    with page.expect_response("**/random/5"):
        page.evaluate("() => { for (const _ of [1, 2]) document.forms.random.requestSubmit(); }")
    expect(page.locator("#made a")).to_have_count(5)
    assert len([url for url in window.requests if "/random/" in url]) == 1


def test_no_answer_within_15_s_is_not_waited_for(window: Window) -> None:
    page = window.page
    page.clock.install()
    unanswered: list[Route] = []
    page.route("**/random/*", lambda route: unanswered.append(route))
    window.open()
    press = page.get_by_role("button", name="Создать").click
    with page.expect_request("**/random/5"):
        press()
    note = page.locator("#random-note")
    page.clock.fast_forward(14_000)
    expect(note).to_have_text("Создаём…")
    page.clock.fast_forward(1_000)
    expect(note).to_contain_text("созданы ли заказы, неизвестно")
    page.unroute("**/random/*")
    press()
    expect(note).to_have_text("Создано заказов: 5")
    assert len(unanswered) == 1


def test_of_many_the_first_are_shown(window: Window) -> None:
    page = window.page
    many = [{"order_uid": f"one {i}", "date_created": "2021-11-26T06:22:19Z"} for i in range(25)]
    page.route("**/random/*", lambda route: route.fulfill(body=json.dumps(many)))
    window.open()
    page.get_by_role("button", name="Создать").click()
    expect(page.locator("#random-note")).to_have_text("Создано заказов: 25. Первые 20:")
    shown = page.locator("#made .value").all_text_contents()
    assert shown == [one["order_uid"] for one in many[:20]]

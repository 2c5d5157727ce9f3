"""Searches that overtake each other: only the last one shows anything."""

from playwright.sync_api import expect

from tests.integration.browser.browsing import Window
from tests.integration.browser.serving import LOST


def test_a_later_search_wins(window: Window) -> None:
    page = window.open()
    with page.expect_event("requestfailed", lambda one: "takes%20a%20while" in one.url):
        window.find("takes a while")
        expect(window.result).to_have_attribute("aria-busy", "true")
        window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    expect(window.result).to_have_attribute("aria-busy", "false")


def test_a_later_search_wins_over_an_answer_that_is_not_stopped(window: Window) -> None:
    """Should the browser not break the first one off, its answer still comes to nothing."""
    window.context.add_init_script("AbortController.prototype.abort = () => {};")
    page = window.open()
    with page.expect_response("**/orders/takes%20a%20while"):
        window.find("takes a while")
        expect(window.result).to_have_attribute("aria-busy", "true")
        window.find("o1")
        expect(window.heading).to_have_text("Заказ: o1")
    page.evaluate("() => new Promise((done) => setTimeout(done, 0))")
    expect(window.heading).to_have_text("Заказ: o1")


def test_a_search_that_was_broken_off_says_nothing(window: Window) -> None:
    page = window.open()
    page.evaluate("""() => {
      window.alerts = 0;
      const result = document.querySelector("#result");
      new MutationObserver(() => {
        window.alerts += result.querySelectorAll("[role=alert]").length;
      }).observe(result, { childList: true });
    }""")
    with page.expect_event("requestfailed", lambda one: "takes%20a%20while" in one.url):
        window.find("takes a while")
        expect(window.heading).to_have_text("Ищем заказ")
        window.find("slow")
    expect(window.result.locator(".log")).to_contain_text("slow")
    expect(window.heading).to_have_text("Ищем заказ")
    expect(window.result).to_have_attribute("aria-busy", "true")
    assert page.evaluate("() => window.alerts") == 0
    window.find("away")
    expect(window.heading).to_have_text("База данных недоступна")
    assert page.evaluate("() => window.alerts") == 1


def test_a_wait_for_an_order_on_its_way_ends_with_the_next_search(window: Window) -> None:
    """Between two tries there is no request to break off, and its timers show nothing."""
    page = window.page
    page.clock.install(time=0)
    window.open()
    page.locator("#amount").fill(str(LOST))
    page.keyboard.press("Enter")
    expect(page.locator("#made a")).to_have_count(LOST)
    page.clock.pause_at(100_000)
    with page.expect_response(lambda answer: answer.status == 404):
        page.locator("#made a").first.click()
    window.find("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    page.clock.run_for(190)
    expect(window.heading).to_have_text("Заказ: o1")

"""By keyboard, by ear, at a first look: the page for everybody."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess


def test_by_keyboard_alone(window: Window) -> None:
    page = window.open()
    expect(page.locator("#order")).to_be_focused()
    page.keyboard.type(stock.REFERENCE)
    page.keyboard.press("Enter")
    expect(window.heading).to_have_text(f"Заказ: {stock.REFERENCE}")
    expect(page.locator("#order")).to_be_focused()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => document.activeElement.dataset.copy ?? document.activeElement.localName"
            )
        )
    assert reached[:5] == ["button", "uid", "link", "json", "summary"]
    assert page.evaluate("() => document.activeElement.matches(':focus-visible')")
    page.locator("#order").focus()
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(window.result.locator(".raw")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(window.result.locator(".raw")).to_be_focused()


def test_the_skip_link_leads_past_the_header(window: Window) -> None:
    page = window.open(stock.REFERENCE)
    expect(window.heading).to_be_visible()
    page.evaluate("() => document.activeElement.blur()")
    page.locator(".skip").focus()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_what_happens_is_said_aloud(window: Window) -> None:
    page = window.open()
    announcer = page.locator("#announcer")
    expect(announcer).to_have_attribute("role", "status")
    window.find("slow")
    expect(announcer).to_have_text("Ищем заказ slow")
    window.find("o1")
    expect(announcer).to_have_text("Заказ найден: o1")
    window.find("nope")
    expect(announcer).to_have_text("Заказ не найден")
    window.find("away")
    expect(window.result.get_by_role("alert")).to_contain_text("База данных недоступна")


def test_a_stranger_finds_an_order_within_seconds(window: Window) -> None:
    """One look, one click: the latest orders are there to be clicked."""
    page = window.open()
    page.get_by_role("complementary").get_by_role("link").first.click()
    expect(window.heading).to_contain_text("Заказ: ")
    expect(window.heading).to_be_focused()
    expect(window.heading).to_be_in_viewport()


def test_less_motion(server: ServerProcess, open_window: Callable[..., Window]) -> None:
    moving = "() => document.getAnimations().length"
    window = open_window(server.url, reduced_motion="no-preference")
    assert window.open().evaluate(moving) > 0
    window = open_window(server.url, reduced_motion="reduce")
    assert window.open().evaluate(moving) == 0


def test_the_font_is_ours_in_both_scripts(window: Window) -> None:
    page = window.open()
    page.evaluate("() => document.fonts.ready.then(() => true)")
    loaded = {url.rpartition("/")[2].partition(".")[0] for url in window.requests}
    assert {"latin", "cyrillic"} <= loaded
    states = page.evaluate("() => [...document.fonts].map((face) => face.status)")
    assert states.count("loaded") == 2
    assert "error" not in states

"""By keyboard, by ear, at a first look: the page for everybody."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess

NOTHING = "rgba(0, 0, 0, 0)"
LEGIBLE = 4.5
"""The contrast of ordinary text that WCAG asks for at level AA."""

RING = """(link) => {
  const { outlineWidth, outlineOffset } = getComputedStyle(link);
  return parseFloat(outlineWidth) + parseFloat(outlineOffset);
}"""
ROOM_AROUND = """(link) => {
  const { left, top, right, bottom } = link.getBoundingClientRect();
  const list = link.closest("ul").getBoundingClientRect();
  return Math.min(left - list.left, top - list.top, list.right - right, list.bottom - bottom);
}"""
"""How far a link is from the edges of its list."""


def contrast(text: Locator, ground: Locator) -> float:
    """Of the text's colour as it is now to the ground's, from 1 to 21."""
    colours = (
        text.evaluate("(one) => getComputedStyle(one).color"),
        ground.evaluate("(one) => getComputedStyle(one).backgroundColor"),
    )
    dark, light = sorted(luminance(colour) for colour in colours)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Of ``rgb(r, g, b)``, as WCAG defines it."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_by_keyboard_alone(window: Window) -> None:
    page = window.open()
    expect(page.locator("#order")).to_be_focused()
    page.keyboard.type(stock.REFERENCE)
    page.keyboard.press("Enter")
    expect(window.heading).to_have_text(f"Заказ: {stock.REFERENCE}")
    expect(page.locator("#order")).to_be_focused()
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => document.activeElement.dataset.copy ?? document.activeElement.localName"
            )
        )
    assert reached == [
        *("button", "uid", "track_number", "link", "json"),
        *("a", "a", "a", "transaction", "summary"),
    ]
    assert page.evaluate("() => document.activeElement.matches(':focus-visible')")
    page.locator("#order").focus()
    for _ in range(10):
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


@pytest.mark.parametrize("link", [".skip", "nav .narrow"])
def test_a_link_within_the_page_keeps_what_was_typed(window: Window, link: str) -> None:
    page = window.page
    page.set_viewport_size({"width": 1024, "height": 768})
    window.open("o1")
    expect(window.heading).to_have_text("Заказ: o1")
    page.locator("#order").fill("half of an i")
    asked = window.orders_asked_for
    page.locator(link).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/*#*")
    expect(page.locator("#order")).to_have_value("half of an i")
    page.go_back()
    expect(page.locator("#order")).to_have_value("half of an i")
    expect(window.heading).to_have_text("Заказ: o1")
    assert window.orders_asked_for == asked


def test_the_latest_orders_are_a_step_away_where_they_stand_below(window: Window) -> None:
    page = window.open(stock.REFERENCE)
    link = page.get_by_role("navigation").get_by_role("link", name="Последние")
    expect(link).to_be_hidden()
    page.set_viewport_size({"width": 768, "height": 800})
    expect(window.heading).to_be_visible()
    expect(page.locator("#latest-title")).not_to_be_in_viewport()
    link.click()
    expect(page.locator("#latest-title")).to_be_in_viewport()


@pytest.mark.parametrize("which", ["#latest", "#made"])
def test_what_is_pointed_at_stays_legible(window: Window, which: str) -> None:
    page = window.open()
    page.get_by_role("button", name="Создать").click()
    link = page.locator(f"{which} a").first
    link.hover()
    expect(link).to_have_css("text-decoration-line", "underline")
    expect(link).to_have_css("background-color", NOTHING)
    for part in (".value", ".dim"):
        assert contrast(link.locator(part), page.locator(".frame").first) > LEGIBLE


def test_the_ring_around_the_focus_is_whole_in_a_list_that_scrolls(window: Window) -> None:
    page = window.open()
    page.locator("#amount").fill("20")
    page.keyboard.press("Enter")
    expect(page.locator("#made a")).to_have_count(20)
    for link in (page.locator("#made a").first, page.locator("#made a").last):
        link.press("Shift")  # the keyboard is in use
        assert link.evaluate(ROOM_AROUND) >= link.evaluate(RING) > 0


def test_the_order_that_is_shown_is_marked_in_the_list(window: Window) -> None:
    page = window.open("o1")
    marked = page.locator("#latest [aria-current] .value")
    first, second = (page.locator("#latest a").nth(place) for place in (1, 2))
    expect(window.heading).to_have_text("Заказ: o1")
    for link in (first, second):
        uid = link.locator(".value").text_content()
        link.click()
        expect(marked).to_have_count(1)
        assert marked.text_content() == uid
    page.go_back()
    expect(first).to_have_attribute("aria-current", "true")
    expect(marked).to_have_count(1)


def test_the_focus_follows_the_result(window: Window) -> None:
    page = window.open()
    links = page.locator("#latest a")
    for place in (0, 1):
        links.nth(place).click()
        expect(page.locator("#latest a[aria-current]")).to_have_count(1)
        expect(window.result).to_have_attribute("aria-busy", "false")
        expect(window.heading).to_be_focused()
    for step in (page.go_back, page.go_forward):
        before = window.heading.element_handle()
        step()
        before.wait_for_element_state("hidden")
        expect(window.heading).to_be_focused()
    window.find("away")
    retry = window.result.get_by_role("button", name="Повторить")
    retry.focus()
    page.keyboard.press("Enter")
    expect(window.heading).to_be_focused()
    expect(window.heading).to_have_text("База данных недоступна")


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

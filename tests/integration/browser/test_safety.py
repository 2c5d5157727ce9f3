"""Nothing in an order is ever more than text, and the policy holds where something tried."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess

TEXTS_SHOWN = 6 + 7 + 5 + 3
"""Of the order, its delivery, its payment and its item."""
COUNT = "() => ['script', 'img', 'a', 'b'].map((tag) => document.querySelectorAll(tag).length)"


def test_an_order_full_of_markup_is_text(window: Window) -> None:
    page = window.open()
    expect(page.locator("#latest li")).to_have_count(8)
    scripts, images, links, bold = page.evaluate(COUNT)
    window.find(stock.MARKUP)
    expect(window.heading.locator(".value")).to_have_text(stock.MARKUP)
    window.result.locator("summary").click()
    expect(window.result.locator(".raw")).to_contain_text("onerror")
    # To the API, to the orders of its customer, and two to what else its id means.
    assert page.evaluate(COUNT) == [scripts, images, links + 4, bold]
    texts = window.result.locator("[data-field]").all_text_contents()
    assert texts.count(stock.MARKUP) == TEXTS_SHOWN
    assert page.evaluate("() => window.ran") is None
    assert [url for url in window.requests if url.endswith("/x")] == []
    assert stock.MARKUP in page.title()


def test_markup_in_an_address_is_text(window: Window) -> None:
    uid = "\"><img src=/x onerror='window.ran=1'>"
    page = window.open(uid)
    expect(window.heading).to_contain_text("Заказ не найден")
    expect(page.locator("#order")).to_have_value(uid)
    assert page.evaluate(COUNT)[1] == 0
    page = window.open(path="/orders/%22%3E%3Cimg%20src=x%3E%3C/script%3E")
    assert page.evaluate(COUNT)[1] == 0


def test_the_policy_is_in_force(server: ServerProcess, open_window: Callable[..., Window]) -> None:
    """What would happen had markup slipped through: nothing runs, and it is reported."""
    window = open_window(server.url)
    page = window.open()
    page.evaluate("""() => {
      const script = document.createElement("script");
      try { script.text = "window.ran = 1"; } catch (error) { window.refused = error.name; }
      const style = document.createElement("style");
      style.textContent = "body { display: none }";
      document.head.append(script, style);
      const image = document.createElement("img");
      image.src = "http://127.0.0.2/pixel";
      document.body.append(image);
    }""")
    assert page.evaluate("() => window.refused") == "TypeError"
    assert page.evaluate("() => window.ran") is None
    expect(page.locator("h1")).to_be_visible()
    for directive in ("trusted-types", "style-src", "img-src"):
        assert any(directive in told for told in window.complaints), window.complaints
    window.complaints.clear()
    window.requests[:] = [url for url in window.requests if "127.0.0.2" not in url]


def test_the_page_is_kept_by_the_browser(window: Window) -> None:
    page = window.open()
    expect(page.locator("#latest li")).to_have_count(8)
    page.reload()
    expect(page.locator("#latest li")).to_have_count(8)
    sizes = page.evaluate(
        "() => performance.getEntriesByType('resource')"
        ".filter((one) => one.name.includes('/assets/page.')).map((one) => one.transferSize)"
    )
    assert sizes == [0, 0]  # script and stylesheet, from the browser's own store

"""The page on paper: the result alone, dark on white."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.browser.test_access import LEGIBLE, contrast
from tests.integration.http.server_process import ServerProcess

ON_SCREEN_ONLY = "#search, aside, .top, footer, button, details, .actions, [data-all]"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        (f"/?order={stock.REFERENCE}", "ru"),
        (f"/?order={stock.REFERENCE}", "en"),
        ("/?order=200+items", "ru"),
        ("/?order=alike", "en"),
        ("/?list", "ru"),
        ("/?list&customer_id=test", "en"),
    ],
)
def test_what_is_printed(
    server: ServerProcess, open_window: Callable[..., Window], path: str, language: str
) -> None:
    window = open_window(server.url, language)
    page = window.open(path=path)
    expect(window.heading).to_be_visible()
    expect(window.result).to_have_attribute("aria-busy", "false")
    page.emulate_media(media="print")
    for part in page.locator(ON_SCREEN_ONLY).all():
        expect(part).to_be_hidden()
    for part in page.locator("#result :is(h2, dt, dd, th, td, .value):visible").all()[:40]:
        assert contrast(part, page.locator("body")) > LEGIBLE
    assert page.pdf(format="A4")[:5] == b"%PDF-"
    window.picture(f"print-{path.rpartition('?')[2][:5]}", (768,))


def test_items_stay_a_table_on_paper(window: Window) -> None:
    page = window.open(stock.REFERENCE)
    expect(window.heading).to_be_visible()
    page.set_viewport_size({"width": 700, "height": 900})
    expect(page.locator("td").first).to_have_css("display", "grid")
    page.emulate_media(media="print")
    expect(page.locator("td").first).to_have_css("display", "table-cell")

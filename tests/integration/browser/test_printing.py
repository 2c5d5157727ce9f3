"""The page on paper: the result alone, dark on white."""

import pytest
from playwright.sync_api import expect

from tests.integration.browser import stock
from tests.integration.browser.browsing import Window
from tests.integration.browser.test_access import LEGIBLE, contrast

ON_SCREEN_ONLY = (
    "#search",
    "aside",
    ".top",
    "footer",
    "button",
    "details",
    ".actions",
    "[data-all]",
)


@pytest.mark.parametrize(
    "path", [f"/?order={stock.REFERENCE}", "/?order=200+items", "/?order=alike", "/?list"]
)
def test_what_is_printed(window: Window, path: str) -> None:
    page = window.open(path=path)
    expect(window.heading).to_be_visible()
    expect(window.result).to_have_attribute("aria-busy", "false")
    page.emulate_media(media="print")
    for selector in ON_SCREEN_ONLY:
        for part in page.locator(selector).all():
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

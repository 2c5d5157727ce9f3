"""Takes the pictures of the page that the documents show: `make picture`."""

import os
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.browser import chromium, stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess

PROGRAM = Path(__file__).with_name("serving.py")
DOCS = Path(__file__).parents[3] / "docs"
SIZE = {"width": 1200, "height": 900}
MOVING_SIZE = {"width": 1104, "height": 690}
ARRIVAL_MS = 600


def main() -> None:
    """Take both pictures, in one browser."""
    path = chromium.find(os.environ)
    if path is None:
        sys.exit(f"no Chromium: {chromium.ADVICE}")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        with ServerProcess(folder, "picture", program=PROGRAM) as server:
            DOCS.joinpath("page.png").write_bytes(still(browser, server))
        with ServerProcess(folder, "empty", program=PROGRAM) as server:
            frames = [(Image.open(BytesIO(png)), ms) for png, ms in moving(browser, server)]
            (first, *others), durations = zip(*frames, strict=True)
            first.save(
                DOCS / "arriving.png",
                save_all=True,
                append_images=others,
                duration=durations,
                loop=0,
                optimize=True,
            )


def still(browser: Browser, server: ServerProcess) -> bytes:
    """Return the reference order, found, in Russian."""
    window = Window(browser, server.url, "ru", viewport=SIZE)
    window.open(stock.REFERENCE)
    expect(window.heading).to_contain_text(stock.REFERENCE)
    expect(window.page.locator("#latest li").first).to_be_visible()
    taken = screenshot(window.page, full_page=True)
    window.close()
    return taken


def moving(browser: Browser, server: ServerProcess) -> Iterator[tuple[bytes, int]]:
    """Return frames and their milliseconds: orders arrive, one of them is opened, in English."""
    window = Window(browser, server.url, "en", viewport=MOVING_SIZE)
    page = window.open()
    page.mouse.move(0, 0)  # nothing moves under the pointer
    arrive(page, server, 8)
    yield screenshot(page), 1000
    for _ in range(4):
        arrive(page, server, 1)
        yield screenshot(page), ARRIVAL_MS
    page.keyboard.press("Tab")  # the ring around the focus is for those who use the keyboard
    page.locator("#latest a").first.focus()
    yield screenshot(page), 800
    page.keyboard.press("Enter")
    expect(window.heading).to_contain_text("Order: ")
    yield screenshot(page), 2 * ARRIVAL_MS
    for ms in (ARRIVAL_MS, ARRIVAL_MS, 2 * ARRIVAL_MS):
        arrive(page, server, 1)
        yield screenshot(page), ms
    window.close()


def arrive(page: Page, server: ServerProcess, amount: int) -> None:
    """Make so many orders, and wait until the list shows the last of them."""
    made = server.http.post(f"/random/{amount}").raise_for_status().json()
    newest = page.locator("#latest li").first
    expect(newest).to_have_attribute("data-uid", made[-1]["order_uid"])


def screenshot(page: Page, **options: Any) -> bytes:
    page.evaluate("() => document.fonts.ready.then(() => true)")
    return page.screenshot(animations="disabled", **options)


if __name__ == "__main__":
    main()

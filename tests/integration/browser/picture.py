"""Takes the picture of the page that the documents show: `make picture`."""

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.integration.browser import chromium, stock
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess

PROGRAM = Path(__file__).with_name("serving.py")
TARGET = Path(__file__).parents[3] / "docs" / "page.png"
SIZE = {"width": 1200, "height": 900}


def main() -> None:
    """The reference order, found, in Russian."""
    path = chromium.find(os.environ)
    if path is None:
        sys.exit(f"no Chromium: {chromium.ADVICE}")
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder), "picture", program=PROGRAM) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        window = Window(browser, server.url, "ru")
        window.page.set_viewport_size(SIZE)  # type: ignore[arg-type]
        window.open(stock.REFERENCE)
        expect(window.heading).to_contain_text(stock.REFERENCE)
        expect(window.page.locator("#latest li").first).to_be_visible()
        window.page.evaluate("() => document.fonts.ready.then(() => true)")
        window.page.screenshot(path=TARGET, full_page=True, animations="disabled")
        window.close()


if __name__ == "__main__":
    main()

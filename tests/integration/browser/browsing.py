"""One browser window on the page, and everything that must never happen in it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

WIDTHS = {320: 700, 768: 1024, 1920: 1080}
ARTIFACTS = Path(__file__).parents[3] / "test-artifacts" / "page"
LOCALES = {"ru": "ru-RU", "en": "en-GB"}

_MOST_MS = 15_000
"""For which an event is waited for; a busy machine takes more than the usual 5 s."""
expect.set_options(timeout=_MOST_MS)

_WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# That an answer has a status above 399 or never came is told in the console of every browser.
_ORDINARY = re.compile(r"Failed to load resource")
_OVERFLOW = """
() => {
  const edge = document.documentElement.clientWidth;
  const out = [...document.body.querySelectorAll("*")].filter((one) => {
    const box = one.getBoundingClientRect();
    const shown = one.checkVisibility({ visibilityProperty: true });
    return shown && !one.closest(".unseen, .skip, thead, .raw, .made") && box.right > edge + 0.5;
  });
  const wide = document.documentElement.scrollWidth - edge;
  return [...out.map((one) => one.outerHTML.slice(0, 200)), ...(wide > 0 ? [`page +${wide}`] : [])];
}
"""


class Window:
    """A page of a fresh profile.

    Attributes:
        page: of Playwright.
        requests: every URL that the page has asked for.
        complaints: errors, and reports of the content security policy.
    """

    def __init__(self, browser: Browser, url: str, language: str, **options: Any) -> None:
        self.url = url
        self.language = language
        usual = {
            "timezone_id": "Europe/Moscow",
            "viewport": {"width": 1280, "height": 900},
            "color_scheme": "dark",
        }
        self.context: BrowserContext = browser.new_context(
            base_url=url, locale=LOCALES[language], **(usual | options)
        )
        self.context.set_default_timeout(_MOST_MS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        if options.get("java_script_enabled", True):
            self.context.add_init_script(_WATCH)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("console", self._note)
        self.page = self.context.new_page()

    @property
    def orders_asked_for(self) -> list[str]:
        """The URLs of single orders among the requests."""
        return [url for url in self.requests if "/orders/" in url and "/orders/events" not in url]

    def close(self) -> None:
        """Close it; fails where anything went wrong in it or left for another host."""
        self.context.close()
        assert self.complaints == []
        here = urlsplit(self.url).netloc
        asked = [
            url for url in self.requests if not url.startswith("data:")
        ]  # what is inside a file
        elsewhere = [url for url in asked if urlsplit(url).netloc != here]
        assert self.requests
        assert elsewhere == []

    def open(self, order_uid: str | None = None, path: str = "/") -> Page:
        self.page.goto(path if order_uid is None else f"/?order={quote(order_uid, safe='')}")
        return self.page

    def find(self, order_uid: str) -> Locator:
        """Search as people do; returns what is shown as the result."""
        self.page.locator("#order").fill(order_uid)
        self.page.keyboard.press("Enter")
        return self.result

    @property
    def result(self) -> Locator:
        return self.page.locator("#result")

    @property
    def heading(self) -> Locator:
        return self.result.locator("h2")

    def picture(self, name: str, widths: Sequence[int] = tuple(WIDTHS)) -> None:
        """Keep how it looks at each width; fails where something does not fit in."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("() => document.fonts.ready.then(() => true)")
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": WIDTHS[width]})
            assert self.page.evaluate(_OVERFLOW) == [], f"{name} at {width}"
            path = ARTIFACTS / f"{name}-{self.language}-{width}.png"
            self.page.screenshot(path=path, full_page=True, animations="disabled")

    def faults_of_access(self) -> list[str]:
        """What axe-core finds that keeps people from using it."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['impact']} {fault['id']}: {node['html'][:200]} {node['failureSummary']}"
            for fault in found
            for node in fault["nodes"]
        ]

    def _note(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not _ORDINARY.match(message.text):
            self.complaints.append(message.text)

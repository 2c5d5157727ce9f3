"""A server in a process of its own, and windows of a real Chromium on it."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.browser import chromium
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess
from tests.integration.system.conftest import running, system_environment  # noqa: F401 (fixtures)

PROGRAM = Path(__file__).with_name("serving.py")


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    return [f"browser: {chromium.find(os.environ) or 'none, ' + chromium.ADVICE}"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    here = Path(__file__).parent.name
    skipped = terminalreporter.stats.get("skipped", [])
    untested = [report for report in skipped if f"/{here}/" in report.nodeid]
    if untested:
        terminalreporter.section("NOT TESTED: the page in a browser", red=True, bold=True)
        terminalreporter.line(f"{len(untested)} tests need a Chromium: {chromium.ADVICE}")


@pytest.fixture(scope="module", autouse=True)
def browser_path() -> str:
    """Where the browser is. First of all: without one no server is started in vain."""
    path = chromium.find(os.environ)
    if path is None and chromium.is_required(os.environ):
        pytest.fail(f"there is no Chromium: {chromium.ADVICE}")
    if path is None:
        pytest.skip(f"no Chromium: {chromium.ADVICE}")
    return path


# Of modules, not of the session: while Playwright runs no other test can have an event loop.
@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=browser_path, args=chromium.FLAGS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all tests that leave it as it is, but for orders that they add."""
    with ServerProcess(tmp_path_factory.mktemp("server"), program=PROGRAM) as running_server:
        yield running_server


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., ServerProcess]:
    """Starts servers of the test's own."""
    return partial(ServerProcess, tmp_path, program=PROGRAM)


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Opens windows; what went wrong in them fails the test in the end."""
    opened: list[Window] = []

    def open_one(url: str, language: str = "ru", **options: Any) -> Window:
        opened.append(Window(browser, url, language, **options))
        return opened[-1]

    yield open_one
    for window in opened:
        window.close()


@pytest.fixture
def window(server: ServerProcess, open_window: Callable[..., Window]) -> Window:
    """A window in Russian."""
    return open_window(server.url)

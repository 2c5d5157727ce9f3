"""The page with access control: log in, look up, log out, in both languages."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.scopes import READ, WRITE, ScopeName
from tests.integration.browser.browsing import Window
from tests.integration.http.access_server import serving
from tests.integration.http.server_process import ServerProcess
from tests.unit.http.access.access_harness import new_key

TEXTS = {
    "ru": ("Вход", "Ключ", "Войти", "Ключ не подходит", "Выйти", "Заказ: o1"),
    "en": ("Log in", "Key", "Log in", "This key is not valid", "Log out", "Order: o1"),
}


class Protected(NamedTuple):
    """A server, and its file of keys."""

    server: ServerProcess
    path: Path


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    folder = tmp_path_factory.mktemp("login")
    path = folder / "keys.json"
    new_key(path, "orders:admin")
    with serving(folder, AUTH="keys", KEYS_FILE=str(path)) as server:
        yield Protected(server, path)


def known_key(protected: Protected, *scopes: ScopeName) -> tuple[str, str]:
    """A new key, once both workers know it."""
    server, before = protected.server, protected.server.log.count('"event":"keys read"')
    found = new_key(protected.path, *scopes)
    server.wait_until(
        lambda: server.log.count('"event":"keys read"') >= before + 2, 20, "it is known"
    )
    return found


@pytest.mark.parametrize("language", ["ru", "en"])
def test_log_in_look_up_and_log_out(
    protected: Protected, open_window: Callable[..., Window], language: str
) -> None:
    title, label, button, denied, log_out, heading = TEXTS[language]
    _, key = known_key(protected, "orders:read", "orders:write")
    window = open_window(protected.server.url, language)
    page = window.open("o1")
    expect(page).to_have_url(f"{window.url}/login?order=o1")
    expect(page.get_by_role("heading")).to_have_text(title)
    assert window.faults_of_access() == []
    window.picture("login")
    field = page.get_by_label(label)
    expect(field).to_be_focused()
    field.fill("wrong")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("alert")).to_contain_text(denied)
    expect(field).to_have_value("")
    field.fill(key)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{window.url}/?order=o1")
    expect(window.heading).to_have_text(heading)
    expect(page.locator("#latest a")).to_have_count(3)
    window.picture("logged-in")
    assert window.faults_of_access() == []
    (cookie,) = [each for each in window.context.cookies() if each["name"] == "orders-session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert key not in str(cookie)
    assert "orders-session" not in page.evaluate("() => document.cookie")
    with page.expect_response("**/random/5") as made:
        page.locator("#random button").click()
    assert made.value.status == 200
    page.get_by_role("link", name="API").click()
    expect(page.locator("#swagger-ui")).to_contain_text("/orders/{order_uid}")
    page.go_back()
    page.get_by_role("button", name=log_out).click()
    expect(page).to_have_url(f"{window.url}/login")
    assert not [each for each in window.context.cookies() if each["name"] == "orders-session"]
    window.open("o1")
    expect(page).to_have_url(f"{window.url}/login?order=o1")


def test_what_the_key_may_not_do_is_said(
    protected: Protected, open_window: Callable[..., Window]
) -> None:
    for scope, title in ((WRITE, "Нет прав"), (READ, "Заказ: o1")):
        _, key = known_key(protected, scope)
        window = open_window(protected.server.url)
        page = window.open("o1")
        page.get_by_label("Ключ").fill(key)
        page.keyboard.press("Enter")
        expect(window.heading).to_have_text(title)
        page.locator("#random button").click()
        told = "Создано заказов" if scope == WRITE else "не разрешено отправлять заказы"
        expect(page.locator("#random-note")).to_contain_text(told)


def test_a_revoked_key_ends_the_session_of_an_open_page(
    protected: Protected, open_window: Callable[..., Window]
) -> None:
    key_id, key = known_key(protected, "orders:read")
    window = open_window(protected.server.url)
    page = window.open("o1")
    page.get_by_label("Ключ").fill(key)
    page.keyboard.press("Enter")
    expect(window.heading).to_have_text("Заказ: o1")
    key_file.edit(protected.path, lambda keys: tuple(k for k in keys if k.id != key_id))
    expect(page).to_have_url(f"{window.url}/login?order=o1", timeout=20_000)  # at its next refresh


def test_without_script(protected: Protected, open_window: Callable[..., Window]) -> None:
    _, key = known_key(protected, "orders:read")
    window = open_window(protected.server.url, java_script_enabled=False)
    page = window.open(path="/login")
    page.get_by_label("Ключ").fill(key)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{window.url}/")
    page.goto("/orders/o1")
    expect(page.locator("body")).to_contain_text('"order_uid":"o1"')


def test_a_link_from_another_site_leads_to_the_order(
    protected: Protected, open_window: Callable[..., Window]
) -> None:
    """The browser does not send the cookie with such a link, but with what the page fetches."""
    _, key = known_key(protected, "orders:read")
    window = open_window(protected.server.url)
    page = window.open(path="/login")
    page.get_by_label("Ключ").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#latest a")).to_have_count(3)
    page.goto("about:blank")
    page.set_content(f'<a href="{window.url}/?order=o1">the order</a>')
    page.get_by_role("link").click()
    expect(window.heading).to_have_text("Заказ: o1")


def test_without_access_control_there_is_no_log_out(window: Window) -> None:
    page = window.open()
    expect(page.locator("form[action='/logout']")).to_be_hidden()

"""The buttons that copy, with a clipboard and without one."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess

UID = "a/b//c"
FORGET_THE_CLIPBOARD = "delete Navigator.prototype.clipboard;"


def clipboard(page: Page) -> str:
    """What somebody would paste."""
    page.evaluate(
        "() => { const area = document.createElement('textarea'); area.id = 'paste';"
        " document.body.append(area); area.focus(); }"
    )
    page.keyboard.press("ControlOrMeta+V")
    return str(
        page.evaluate(
            "() => { const area = document.querySelector('#paste');"
            " const text = area.value; area.remove(); return text; }"
        )
    )


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_what_is_copied(
    server: ServerProcess, open_window: Callable[..., Window], has_clipboard: bool
) -> None:
    window = open_window(server.url, permissions=["clipboard-read", "clipboard-write"])
    if not has_clipboard:
        window.context.add_init_script(FORGET_THE_CLIPBOARD)
    page = window.open(UID)
    expect(window.heading).to_have_text(f"Заказ: {UID}")
    assert page.evaluate("() => 'clipboard' in navigator") == has_clipboard
    served = server.http.get(f"/orders/{quote(UID, safe='')}").text
    wanted = {
        "uid": UID,
        "track_number": "WBILMTESTTRACK",
        "transaction": "b563feb7b2b84b6test",
        "link": f"{server.url}/?order={quote(UID, safe='')}",
        "json": served,
    }
    for name, text in wanted.items():
        button = window.result.locator(f"[data-copy={name}]")
        label = button.text_content()
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_have_text("Скопировано")
        expect(page.locator("#announcer")).to_have_text("Скопировано")
        expect(button).to_be_focused()
        assert clipboard(page) == text
        if name == "uid":
            expect(button).to_have_text(label or "")


def test_nothing_is_copied_of_what_is_empty(window: Window) -> None:
    window.open(UID)
    expect(window.heading).to_have_text(f"Заказ: {UID}")
    expect(window.result.locator("[data-copy=transaction]")).to_be_visible()
    expect(window.result.locator("[data-copy=request_id]")).to_be_hidden()


def test_a_refusal_is_told(server: ServerProcess, open_window: Callable[..., Window]) -> None:
    window = open_window(server.url)
    window.context.add_init_script(
        "Clipboard.prototype.writeText = () => Promise.reject(new Error('refused'));"
    )
    page = window.open(UID)
    window.result.get_by_role("button", name="Копировать: ссылку").click()
    expect(page.locator("#announcer")).to_have_text("Не скопировалось")

"""Values as people read them: money, dates, phone numbers, e-mail addresses."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from playwright.sync_api import expect

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.integration.browser.browsing import Window
from tests.integration.http.server_process import ServerProcess
from tests.unit.http.harness import order

CURRENCIES = {
    # currency: major in Russian, in English; minor in both
    "RUB": ("1 817,00 ₽", "RUB 1,817.00", "18,17 ₽", "RUB 18.17"),
    "EUR": ("1 817,00 €", "€1,817.00", "18,17 €", "€18.17"),
    "JPY": ("1 817 ¥", "JP¥1,817", "1 817 ¥", "JP¥1,817"),
    "KWD": ("1 817,000 KWD", "KWD 1,817.000", "1,817 KWD", "KWD 1.817"),
    "XYZ": ("1817 XYZ",) * 4,
    "eur": ("1817 eur",) * 4,
    "<b>": ("1817 <b>",) * 4,
    "": ("1817",) * 4,
}


def store(server: ServerProcess, uid: str, **parts: object) -> None:
    content = encode(order(uid, **parts))
    assert server.http.post("/orders", content=content).status_code == 202
    server.wait_until(lambda: server.http.get(f"/orders/{uid}").is_success, 10, "it is stored")


@pytest.mark.parametrize("scenario", ["major", "minor"])
def test_money_is_written_as_its_currency_is(
    start: Callable[..., ServerProcess], open_window: Callable[..., Window], scenario: str
) -> None:
    with start(scenario) as server:
        for number, currency in enumerate(CURRENCIES):
            store(server, f"c{number}", payment=replace(ORDER.payment, currency=currency))
        for place, language in enumerate(("ru", "en")):
            window = open_window(server.url, language)
            for number, (currency, texts) in enumerate(CURRENCIES.items()):
                window.open(f"c{number}")
                amount = window.result.locator("[data-field='payment.amount']")
                expect(amount).to_have_text(texts[place + 2 * (scenario == "minor")])
                if len(set(texts)) > 1:
                    expect(amount.locator("data")).to_have_attribute("title", f"1817 {currency}")
                    expect(amount.locator("data")).to_have_attribute("value", "1817")


def test_dates_are_in_the_readers_zone_and_keep_the_original(
    server: ServerProcess, open_window: Callable[..., Window]
) -> None:
    for zone, shown in {"America/New_York": "01:22:19", "Asia/Tokyo": "15:22:19"}.items():
        window = open_window(server.url, "en", timezone_id=zone)
        window.open(ORDER.order_uid)
        created, paid = (window.result.locator("dd time").nth(place) for place in (0, 1))
        expect(created).to_contain_text(shown)
        expect(created).to_have_attribute("datetime", "2021-11-26T06:22:19.000Z")
        expect(created).to_have_attribute("title", "2021-11-26T06:22:19Z")
        expect(paid).to_have_attribute("title", str(ORDER.payment.payment_dt))


@pytest.mark.parametrize(
    ("phone", "href"),
    [
        ("+9720000000", "tel:+9720000000"),
        ("+7 (999) 000-00-00", "tel:+79990000000"),
        ("112", None),
        ("call me", None),
        ("+7 999 000;ext=1", None),
        ("javascript:1234567", None),
        ("1" * 16, None),
        ("+ 1+2345678", None),
    ],
)
def test_a_phone_number_is_a_link(
    server: ServerProcess, window: Window, phone: str, href: str | None
) -> None:
    check_link(server, window, "phone", phone, href)


@pytest.mark.parametrize(
    ("email", "href"),
    [
        ("test@gmail.com", "mailto:test@gmail.com"),
        ("first.last+tag@mail.example.org", "mailto:first.last+tag@mail.example.org"),
        ("nobody", None),
        ("a@b", None),
        ("a@b.c, d@e.f", None),
        ("a@b.c?bcc=d@e.f", None),
        ("javascript:alert(1)@b.c", None),
        ("a@b.c\n", None),
        ("a" * 251 + "@b.c", None),
    ],
)
def test_an_email_address_is_a_link(
    server: ServerProcess, window: Window, email: str, href: str | None
) -> None:
    check_link(server, window, "email", email, href)


def check_link(
    server: ServerProcess, window: Window, field: str, text: str, href: str | None
) -> None:
    uid = f"{field} {text}"[:50].encode().hex()
    store(server, uid, delivery=replace(ORDER.delivery, **{field: text}))
    window.open(uid)
    place = window.result.locator(f"[data-field='delivery.{field}']")
    expect(place).not_to_be_empty()
    assert place.text_content() == text
    expect(place.locator("a")).to_have_count(0 if href is None else 1)
    if href:
        expect(place.locator("a")).to_have_attribute("href", href)

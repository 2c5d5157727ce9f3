"""The page over the real thing: a random order through Kafka and PostgreSQL to its view."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.integration.browser.browsing import Window
from tests.integration.system.processes import System


def test_a_random_order_goes_all_the_way(
    running: System, open_window: Callable[..., Window]
) -> None:
    running.start("consumer")
    running.start_api()
    window = open_window(f"http://127.0.0.1:{running.port}")
    page = window.open()
    page.locator("#amount").fill("2")
    page.get_by_role("button", name="Создать", exact=True).click()
    expect(page.locator("#made a")).to_have_count(2, timeout=30_000)
    uid = page.locator("#made .value").first.text_content()
    assert uid
    running.order(uid)  # the consumer's first batch takes as long as its joining
    page.locator("#made a").first.click()
    expect(window.heading).to_have_text(f"Заказ: {uid}")
    assert running.http.get(f"/orders/{uid}").json()["order_uid"] == uid
    expect(page.locator("#latest")).to_contain_text(uid, timeout=15_000)
    # From now on one is there as soon as it is clicked.
    page.get_by_role("button", name="Создать", exact=True).click()
    expect(page.locator("#made")).not_to_contain_text(uid)
    another = page.locator("#made .value").first.text_content()
    page.locator("#made a").first.click()
    expect(window.heading).to_have_text(f"Заказ: {another}")

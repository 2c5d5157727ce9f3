"""Where the browser of the tests comes from."""

import pytest

from tests.integration.browser import chromium


def found(environment: dict[str, str], *installed: str) -> str | None:
    return chromium.find(environment, lambda name: f"/bin/{name}" if name in installed else None)


def test_one_that_is_named_comes_first_and_has_no_substitute() -> None:
    named = {"ORDERS_TEST_CHROMIUM": "mine"}
    assert found(named, "chromium", "mine") == "/bin/mine"
    assert found(named, "chromium") is None
    assert found({"ORDERS_TEST_CHROMIUM": " "}, "chromium") == "/bin/chromium"


def test_else_one_of_the_systems() -> None:
    assert found({}, "google-chrome", "chromium-browser") == "/bin/chromium-browser"
    assert found({}) is None


@pytest.mark.parametrize(("value", "wanted"), [("required", True), ("", False), ("1", False)])
def test_whether_there_must_be_one(value: str, wanted: bool) -> None:
    assert chromium.is_required({"ORDERS_TEST_BROWSER": value}) is wanted
    assert not chromium.is_required({})

"""Headers of clients, also longer than any client sends them."""

import pytest

from orders.entrypoints.http.negotiation import preferred, preferred_language
from orders.entrypoints.http.page.languages import LANGUAGES
from orders.entrypoints.http.responses import cookie

FORMS = ("application/json", "text/html")


@pytest.mark.parametrize("filler", [",", "a,", "a;q=0.5,", "a" + 20 * ";" + ","])
def test_a_header_that_would_take_long_to_parse_counts_as_none(filler: str) -> None:
    many = filler * (32_000 // len(filler))
    assert preferred("text/html", FORMS) == "text/html"
    assert preferred("text/html," + many, FORMS) == "application/json"
    assert preferred("image/png," + many, FORMS) == "application/json"
    assert preferred_language("en", LANGUAGES) == "en"
    assert preferred_language("en," + many, LANGUAGES) is None


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        (["name=value"], "value"),
        (["other=1; name=value; another=2"], "value"),
        (["other=1;name=value;name=2"], "value"),
        (["other=1", "name=a=b "], "a=b"),
        (["othername=1; name2=2; other=name=3"], ""),
        (["name"], ""),
        ([], ""),
    ],
)
def test_a_cookie_is_found_among_others(headers: list[str], value: str) -> None:
    assert cookie([(b"cookie", header.encode()) for header in headers], "name") == value

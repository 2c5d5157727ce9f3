"""Headers that say what a client would like, where they are longer than any client sends."""

import pytest

from orders.entrypoints.http.negotiation import preferred, preferred_language
from orders.entrypoints.http.page.languages import LANGUAGES

FORMS = ("application/json", "text/html")


@pytest.mark.parametrize("filler", [",", "a,", "a;q=0.5,", "a" + 20 * ";" + ","])
def test_a_header_that_would_take_long_to_parse_counts_as_none(filler: str) -> None:
    many = filler * (32_000 // len(filler))
    assert preferred("text/html", FORMS) == "text/html"
    assert preferred("text/html," + many, FORMS) == "application/json"
    assert preferred("image/png," + many, FORMS) == "application/json"
    assert preferred_language("en", LANGUAGES) == "en"
    assert preferred_language("en," + many, LANGUAGES) is None
